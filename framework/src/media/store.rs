//! The store of files: put, get and delete by key, on any backend.
//!
//! Invariants: a file that `put` acknowledged survives a loss of power; nothing is ever overwritten by
//! different bytes, because keys are random. Callers never see which backend is in use.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;

use super::key::MediaKey;
use super::store_directory::Directory;
use super::store_s3::{self, Bucket, PresignedPut};
use crate::error::{Error, Result};

/// The store of immutable files under random keys. Clones share one backend.
#[derive(Clone, Debug)]
pub struct MediaStore {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Directory(Arc<Directory>),
    Bucket(Arc<Bucket>),
}

impl MediaStore {
    /// Opens a configured store: a directory, or a bucket as
    /// `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1` (all but the bucket is
    /// optional), with the credentials in `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN`. Writes, reads and deletes a probe.
    ///
    /// # Errors
    ///
    /// `is_configuration`, with what to do, if the store does not exist or may not be used.
    pub async fn open(location: &str) -> Result<Self> {
        Self::open_with(location, |name| std::env::var(name).ok()).await
    }

    /// As [`MediaStore::open`], with `variable` in place of the environment.
    ///
    /// # Errors
    ///
    /// As [`MediaStore::open`].
    pub async fn open_with(
        location: &str,
        variable: impl Fn(&str) -> Option<String> + Send + Sync,
    ) -> Result<Self> {
        if !location.starts_with(store_s3::SCHEME) {
            return Self::open_directory(location).await;
        }
        let bucket = Bucket::open(location, &variable).await?;
        Ok(Self { backend: Backend::Bucket(Arc::new(bucket)) })
    }

    /// Opens the store in a directory, which is created if it does not exist. Removes incomplete files
    /// left by writes that crashed.
    ///
    /// # Errors
    ///
    /// `is_configuration`, naming the path, if the directory cannot be created or written to.
    pub async fn open_directory(path: impl AsRef<Path>) -> Result<Self> {
        let directory = Directory::open(path.as_ref()).await?;
        Ok(Self { backend: Backend::Directory(Arc::new(directory)) })
    }

    /// Stores `bytes` under `key`. When this returns, the file survives a loss of power. Repeating it
    /// with the same bytes is harmless.
    ///
    /// # Errors
    ///
    /// `is_unavailable` if the store does not respond or is full; do not use `key` then, except to put
    /// the same bytes again.
    pub async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.put(key, bytes).await,
            Backend::Bucket(bucket) => bucket.put(key, bytes).await,
        }
    }

    /// The file stored under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// `is_unavailable` if the store does not respond.
    pub async fn get(&self, key: &MediaKey) -> Result<Option<Bytes>> {
        match &self.backend {
            Backend::Directory(directory) => directory.get(key).await,
            Backend::Bucket(bucket) => bucket.get(key).await,
        }
    }

    /// The length in bytes of the file stored under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// `is_unavailable` if the store does not respond.
    pub async fn length(&self, key: &MediaKey) -> Result<Option<u64>> {
        match &self.backend {
            Backend::Directory(directory) => directory.length(key).await,
            Backend::Bucket(bucket) => bucket.known_length(key).await,
        }
    }

    /// The size of the pieces of [`MediaStore::stream`], in bytes: few requests to a bucket, and little
    /// memory while a client is slow.
    pub(crate) const PIECE_BYTES: u64 = 256 * 1024;

    /// A range of the file under `key`, in pieces. Each is read when it is polled, and between them
    /// neither a file nor a connection is held open, because a slow client may take its time.
    ///
    /// Errors of the stream are `is_unavailable`: the store does not respond, or the file is shorter or
    /// was deleted.
    pub(crate) fn stream(
        &self,
        key: MediaKey,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
        let store = self.clone();
        futures::stream::try_unfold(range, move |range| {
            let (store, key) = (store.clone(), key.clone());
            async move {
                if range.is_empty() {
                    return Ok(None);
                }
                let next = range.end.min(range.start + Self::PIECE_BYTES);
                let piece = match &store.backend {
                    Backend::Directory(directory) => directory.read(&key, range.start..next).await?,
                    Backend::Bucket(bucket) => bucket.read(&key, range.start..next).await?,
                };
                Ok(Some((piece, next..range.end)))
            }
        })
    }

    /// Deletes the file under `key`. A missing file is not an error.
    ///
    /// # Errors
    ///
    /// `is_unavailable` if the store does not respond; the file may or may not be deleted.
    pub async fn delete(&self, key: &MediaKey) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.delete(key).await,
            Backend::Bucket(bucket) => bucket.delete(key).await,
        }
    }

    /// Checks that the store works now: in a directory a probe is written, read and deleted; on a bucket
    /// only the bucket is requested. For readiness.
    ///
    /// # Errors
    ///
    /// `is_unavailable`, with the reason.
    pub async fn check(&self) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.check().await,
            Backend::Bucket(bucket) => bucket.check().await,
        }
    }

    /// Its address, without credentials: the directory's path, or the bucket and its server.
    pub fn address(&self) -> String {
        match &self.backend {
            Backend::Directory(directory) => directory.address(),
            Backend::Bucket(bucket) => format!("{bucket:?}"),
        }
    }

    /// The text that identifies this store, whatever its address, if it was marked.
    pub(crate) async fn mark(&self) -> Result<Option<String>> {
        match &self.backend {
            Backend::Directory(directory) => directory.mark().await,
            Backend::Bucket(bucket) => bucket.mark().await,
        }
    }

    /// Marks a store that has no mark yet.
    pub(crate) async fn set_mark(&self, mark: &str) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.set_mark(mark.to_owned()).await,
            Backend::Bucket(bucket) => bucket.set_mark(mark).await,
        }
    }

    /// A presigned URL that lets anyone who has it read the file under `key` until `expires` has passed.
    ///
    /// # Errors
    ///
    /// `is_invalid` if `expires` is not between a second and a week; `is_configuration` for a directory,
    /// which clients cannot reach directly.
    pub async fn presign_get(&self, key: &MediaKey, expires: Duration) -> Result<String> {
        match &self.backend {
            Backend::Directory(_) => Err(no_links()),
            Backend::Bucket(bucket) => bucket.presign_get(key, expires).await,
        }
    }

    /// A presigned URL that lets anyone who has it put one file of this type and length in bytes under
    /// `key`, until `expires` has passed. Treat the file as untrusted, like any upload.
    ///
    /// # Errors
    ///
    /// As [`MediaStore::presign_get`].
    pub async fn presign_put(
        &self,
        key: &MediaKey,
        content_type: &str,
        length: u64,
        expires: Duration,
    ) -> Result<PresignedPut> {
        match &self.backend {
            Backend::Directory(_) => Err(no_links()),
            Backend::Bucket(bucket) => bucket.presign_put(key, content_type, length, expires).await,
        }
    }
}

fn no_links() -> Error {
    Error::configuration(
        "a media directory has no links for clients: set media (TRIPOD_MEDIA) to a bucket, s3://…",
    )
}
