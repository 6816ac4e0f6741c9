//! Where files are kept: put, get and delete by key, whatever is behind it.
//!
//! Invariants: what `put` acknowledged survives a loss of power; nothing is ever overwritten by
//! different bytes, as keys are random. Callers never see which backend it is.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::key::MediaKey;
use super::store_directory::Directory;
use crate::error::Result;

/// The store of immutable files under random keys. Clones share one backend.
#[derive(Clone, Debug)]
pub struct MediaStore {
    backend: Backend,
}

#[derive(Clone, Debug)]
enum Backend {
    Directory(Arc<Directory>),
}

impl MediaStore {
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
        }
    }

    /// Writes a probe, reads it and deletes it: whether uploads would work now. For readiness.
    ///
    /// # Errors
    ///
    /// `is_unavailable` when they would not, with the reason.
    pub async fn check(&self) -> Result<()> {
        match &self.backend {
            Backend::Directory(directory) => directory.check().await,
        }
    }
}
