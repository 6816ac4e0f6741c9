//! A stored photo: its renditions in the media store, and what is shown until they are loaded.

use axum::body::Bytes;
use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use tripod::id::Shard;
use tripod::media::{MediaKey, Processed, Upload};
use tripod::{Result, Tripod};
use utoipa::ToSchema;

/// A photo as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Photo {
    alt: String,
    placeholder: String,
    /// Largest first; never empty.
    files: Vec<File>,
}

/// One rendition: its file's key and its size in pixels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct File {
    key: String,
    width: u32,
    height: u32,
}

/// A photo whose files have names and are not stored.
pub struct Unstored {
    photo: Photo,
    files: Vec<(MediaKey, Bytes)>,
}

impl Unstored {
    /// Gives each rendition a random key.
    pub fn new(processed: Processed, alt: String) -> Result<Self> {
        let mut this = Self {
            photo: Photo { alt, placeholder: processed.placeholder, files: Vec::new() },
            files: Vec::new(),
        };
        for rendition in processed.renditions {
            let key = MediaKey::random("jpg")?;
            let file = File { key: key.to_string(), width: rendition.width, height: rendition.height };
            this.photo.files.push(file);
            this.files.push((key, rendition.bytes.into()));
        }
        Ok(this)
    }

    /// Stores the files.
    pub async fn put(self, tripod: &Tripod) -> Result<Photo> {
        for (key, bytes) in self.files {
            tripod.media.put(&key, bytes).await?;
        }
        Ok(self.photo)
    }
}

/// A photo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Photo)]
pub struct PhotoView {
    /// The largest rendition, relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// What it shows, for those who do not see it; may be empty.
    pub alt: String,
    /// A tiny picture as a `data:` URI, to show while the photo loads.
    pub placeholder: String,
    /// Renditions of the same aspect ratio, largest first.
    pub variants: Vec<Variant>,
}

/// A rendition of a photo.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variant {
    /// Relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl Photo {
    /// Stores photos for a row on this shard. They are deleted again unless its transaction keeps
    /// the upload.
    pub async fn store(
        tripod: &Tripod,
        shard: Shard,
        pictures: impl IntoIterator<Item = (Processed, String)>,
    ) -> Result<(Vec<Self>, Upload)> {
        let named = pictures.into_iter().map(|(processed, alt)| Unstored::new(processed, alt));
        let named: Vec<Unstored> = named.collect::<Result<_>>()?;
        let keys = named.iter().flat_map(|photo| photo.files.iter().map(|(key, _)| key.clone()));
        let upload = tripod.uploads.begin(shard, keys.collect()).await?;
        let mut photos = Vec::with_capacity(named.len());
        for photo in named {
            match photo.put(tripod).await {
                Ok(photo) => photos.push(photo),
                Err(error) => {
                    upload.abandon().await?;
                    return Err(error);
                }
            }
        }
        Ok((photos, upload))
    }

    /// Deletes the files. Safe to repeat.
    pub async fn delete_files(&self, tripod: &Tripod) -> Result<()> {
        for file in &self.files {
            tripod.media.delete(&MediaKey::parse(&file.key)?).await?;
        }
        Ok(())
    }

    /// Where its smallest rendition is.
    pub fn smallest_url(&self, tripod: &Tripod) -> String {
        self.files.last().map(|file| tripod.media_url(&file.key)).unwrap_or_default()
    }

    /// The photo as clients see it.
    pub fn view(&self, tripod: &Tripod) -> PhotoView {
        let variants: Vec<Variant> = self
            .files
            .iter()
            .map(|file| Variant { url: tripod.media_url(&file.key), width: file.width, height: file.height })
            .collect();
        let largest = variants.first();
        PhotoView {
            url: largest.map(|variant| variant.url.clone()).unwrap_or_default(),
            width: largest.map_or(0, |variant| variant.width),
            height: largest.map_or(0, |variant| variant.height),
            alt: self.alt.clone(),
            placeholder: self.placeholder.clone(),
            variants,
        }
    }
}
