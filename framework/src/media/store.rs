//! Where files are kept: put, get and delete by key, whatever is behind it.
//!
//! Invariants: what `put` acknowledged survives a loss of power; nothing is ever overwritten by
//! different bytes, as keys are random. Callers never see which backend it is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

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
    /// Opens the store that a configuration names: a directory, or a bucket as
    /// `s3://bucket/prefix?endpoint=http://127.0.0.1:9000&region=us-east-1` (all but the bucket may
    /// be left out), with the key that `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
    /// `AWS_SESSION_TOKEN` hold. Writes a probe, reads it and deletes it.
    ///
    /// # Errors
    ///
    /// `is_configuration`, with what to do, when the store is not there or may not be used.
    pub async fn open(location: &str) -> Result<Self> {
        Self::open_with(location, |name| std::env::var(name).ok()).await
    }

    /// As [`MediaStore::open`], with `variable` for the environment.
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

    /// Opens the store in a directory, and makes the directory where there is none. Removes what
    /// writes that a crash cut short have left behind.
    ///
    /// # Errors
    ///
    /// `is_configuration`, naming the path, when it cannot be made or written to.
    pub async fn open_directory(path: impl AsRef<Path>) -> Result<Self> {
        let directory = Directory::open(path.as_ref()).await?;
        Ok(Self { backend: Backend::Directory(Arc::new(directory)) })
    }

    /// Keeps `bytes` under `key`. When this returns, a loss of power does not lose them. To do it
    /// again with the same bytes is harmless.
    ///
    /// # Errors
    ///
    /// `is_unavailable` when the store does not answer or is full; `key` is then not to be used,
    /// or only to put the same bytes again.
    pub async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.put(key, bytes).await,
            Backend::Bucket(bucket) => bucket.put(key, bytes).await,
        }
    }

    /// What is kept under `key`, if anything.
    ///
    /// # Errors
    ///
    /// `is_unavailable` when the store does not answer.
    pub async fn get(&self, key: &MediaKey) -> Result<Option<Bytes>> {
        match &self.backend {
            Backend::Directory(directory) => directory.get(key).await,
            Backend::Bucket(bucket) => bucket.get(key).await,
        }
    }

    /// Forgets what is kept under `key`. That there is nothing is no error.
    ///
    /// # Errors
    ///
    /// `is_unavailable` when the store does not answer; it may be forgotten or not.
    pub async fn delete(&self, key: &MediaKey) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.delete(key).await,
            Backend::Bucket(bucket) => bucket.delete(key).await,
        }
    }

    /// Whether the store would work now: in a directory a probe is written, read and deleted; a
    /// bucket is asked for. For readiness.
    ///
    /// # Errors
    ///
    /// `is_unavailable` when it would not, with the reason.
    pub async fn check(&self) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.check().await,
            Backend::Bucket(bucket) => bucket.check().await,
        }
    }
    /// A link by which whoever has it may read what is under `key`, until `expires` has passed.
    ///
    /// # Errors
    ///
    /// `is_invalid` when `expires` is not between a second and a week; `is_configuration` in a
    /// directory, which no client reaches by itself.
    pub async fn presign_get(&self, key: &MediaKey, expires: Duration) -> Result<String> {
        match &self.backend {
            Backend::Directory(_) => Err(no_links()),
            Backend::Bucket(bucket) => bucket.presign_get(key, expires).await,
        }
    }

    /// A link by which whoever has it may put one file of this type and this length in bytes under
    /// `key`, until `expires` has passed. What arrives by it is as hostile as any upload.
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
