//! A picture as stored in a row: the keys and sizes of its renditions, and a placeholder until they
//! load.

use bytes::Bytes;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};

use super::{MediaKey, MediaStore, Processed, Upload, Uploads};
use crate::error::Result;
use crate::id::Shard;

/// A stored picture, for a JSON column (`#[sea_orm(column_type = "JsonBinary")]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Picture {
    /// Its text alternative, for people who do not see it; may be empty.
    pub alt: String,
    /// A `data:` URI to show until a rendition has loaded.
    pub placeholder: String,
    /// Its renditions, largest first; never empty.
    pub files: Vec<PictureFile>,
}

/// One rendition of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureFile {
    /// The key of its file.
    pub key: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Picture {
    /// The keys of its files.
    ///
    /// # Errors
    /// Internal, if the row contains an invalid key.
    pub fn keys(&self) -> Result<Vec<MediaKey>> {
        self.files.iter().map(|file| MediaKey::parse(&file.key)).collect()
    }

    /// Gives each rendition a random key; its files are not stored yet.
    fn new(processed: Processed, alt: String) -> Result<(Self, Vec<(MediaKey, Bytes)>)> {
        let mut picture = Self { alt, placeholder: processed.placeholder, files: Vec::new() };
        let mut files = Vec::new();
        for rendition in processed.renditions {
            let key = MediaKey::random("jpg")?;
            let (width, height) = (rendition.width, rendition.height);
            picture.files.push(PictureFile { key: key.to_string(), width, height });
            files.push((key, rendition.bytes.into()));
        }
        Ok((picture, files))
    }
}

impl Uploads {
    /// Stores one picture, with its text alternative; see [`Self::store_pictures`].
    ///
    /// # Errors
    /// As for [`Self::store_pictures`].
    pub async fn store_picture(
        &self,
        media: &MediaStore,
        shard: impl Into<Shard>,
        processed: Processed,
        alt: String,
    ) -> Result<(Picture, Upload)> {
        let (picture, files) = Picture::new(processed, alt)?;
        Ok((picture, self.store(media, shard, files).await?))
    }

    /// Stores pictures, each with its text alternative, for a row on this shard. The files are deleted
    /// again unless the transaction that writes the row [keeps](crate::shard::Tx::keep) the upload.
    ///
    /// # Errors
    /// Any error of the shard's database or the media store.
    pub async fn store_pictures(
        &self,
        media: &MediaStore,
        shard: impl Into<Shard>,
        pictures: impl IntoIterator<Item = (Processed, String)>,
    ) -> Result<(Vec<Picture>, Upload)> {
        let named = pictures.into_iter().map(|(processed, alt)| Picture::new(processed, alt));
        let (pictures, files): (Vec<_>, Vec<_>) = named.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok((pictures, self.store(media, shard, files.into_iter().flatten().collect()).await?))
    }

    async fn store(
        &self,
        media: &MediaStore,
        shard: impl Into<Shard>,
        files: Vec<(MediaKey, Bytes)>,
    ) -> Result<Upload> {
        let upload = self.begin(shard, files.iter().map(|(key, _)| key.clone()).collect()).await?;
        for (key, bytes) in files {
            media.put(&key, bytes).await?;
        }
        Ok(upload)
    }
}
