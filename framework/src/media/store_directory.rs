//! A directory as a media store: `ab/cd/abcd….jpg`, and `incoming/` for writes in progress.
//!
//! Invariants: a file appears under its key complete and already on disk, or not at all (write, fsync,
//! rename, fsync of the directory). Writes in progress are in one directory, beside the files and on the
//! same file system, so that opening the store checks only that directory, however many files there are.
//! Several processes may share the store.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::key::MediaKey;
use crate::error::{Error, Result};
use crate::permissions::restrict_tree;

const INCOMING: &str = "incoming";
/// The file that holds the store's mark.
const MARK: &str = "tripod-store";

/// A write takes seconds, so an older file was left by a crash. A younger one may be another process's
/// current write.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Directory {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// The directories that this process knows to be on disk: at most 65,536 (two bytes).
    durable: Mutex<HashSet<String>>,
}

impl Directory {
    pub(super) async fn open(path: &Path) -> Result<Self> {
        let root = path.to_owned();
        let inner = Arc::new(Inner { root, durable: Mutex::default() });
        let directory = Self { inner };
        directory
            .run(|inner| {
                inner.open().map_err(|error| {
                    Error::configuration(format!(
                        "the media directory {} cannot be used: give this program the right to \
                         write there, or set another path",
                        inner.root.display()
                    ))
                    .because(error)
                })
            })
            .await?;
        Ok(directory)
    }

    pub(super) fn address(&self) -> String {
        self.inner.root.display().to_string()
    }

    pub(super) async fn mark(&self) -> Result<Option<String>> {
        let read = |inner: &Inner| match fs::read_to_string(inner.root.join(MARK)) {
            Ok(mark) => Ok(Some(mark.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable("read", error)),
        };
        self.run(read).await
    }

    pub(super) async fn set_mark(&self, mark: String) -> Result<()> {
        let write = move |inner: &Inner| {
            let incoming = inner.write_incoming(mark.as_bytes())?;
            // A link, unlike a rename, replaces nothing.
            let linked = fs::hard_link(&incoming, inner.root.join(MARK));
            fs::remove_file(&incoming)?;
            match linked {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                linked => linked.and_then(|()| sync_directory(&inner.root)),
            }
        };
        self.run(move |inner| write(inner).map_err(|error| unavailable("written to", error))).await
    }

    pub(super) async fn put(&self, key: &MediaKey, bytes: Bytes) -> Result<()> {
        let key = key.clone();
        self.run(move |inner| inner.put(&key, &bytes).map_err(|error| unavailable("written to", error))).await
    }

    pub(super) async fn get(&self, key: &MediaKey) -> Result<Option<Bytes>> {
        let key = key.clone();
        self.run(move |inner| match fs::read(inner.path(&key)) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable("read", error)),
        })
        .await
    }

    pub(super) async fn length(&self, key: &MediaKey) -> Result<Option<u64>> {
        let key = key.clone();
        self.run(move |inner| match fs::metadata(inner.path(&key)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unavailable("read", error)),
        })
        .await
    }

    /// These bytes of the file under `key`.
    pub(super) async fn read(&self, key: &MediaKey, range: Range<u64>) -> Result<Bytes> {
        let key = key.clone();
        self.run(move |inner| {
            let mut bytes = vec![0; (range.end - range.start) as usize];
            File::open(inner.path(&key))
                .and_then(|file| file.read_exact_at(&mut bytes, range.start))
                .map_err(|error| unavailable("read", error))?;
            Ok(bytes.into())
        })
        .await
    }

    pub(super) async fn delete(&self, key: &MediaKey) -> Result<()> {
        let key = key.clone();
        self.run(move |inner| match fs::remove_file(inner.path(&key)) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(unavailable("written to", error)),
        })
        .await
    }

    pub(super) async fn check(&self) -> Result<()> {
        self.run(|inner| inner.probe().map_err(|error| unavailable("written to", error))).await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner))
            .await
            .map_err(|error| Error::internal("the media store failed").because(error))?
    }
}

impl Inner {
    fn open(&self) -> io::Result<()> {
        let incoming = self.root.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        restrict_tree(&self.root)?;
        if let Some(parent) = self.root.canonicalize()?.parent() {
            // Best effort: another user may own the parent, such as /var/lib.
            let _ = sync_directory(parent);
        }
        sync_directory(&self.root)?;
        let now = SystemTime::now();
        for entry in fs::read_dir(&incoming)? {
            let entry = entry?;
            // Another process may remove it first; if the clock went back, the file counts as young.
            let age = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = age.and_then(|modified| now.duration_since(modified).ok());
            if age.is_some_and(|age| age > LEFTOVER_AGE) {
                fs::remove_file(entry.path()).or_else(ignore_missing)?;
            }
        }
        self.probe()
    }

    fn put(&self, key: &MediaKey, bytes: &[u8]) -> io::Result<()> {
        let (first, second) = (&key.as_str()[..2], &key.as_str()[2..4]);
        let directory = self.root.join(first).join(second);
        let durable = || self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if !durable().contains(&key.as_str()[..4]) {
            fs::create_dir_all(&directory)?;
            // Another process may have just created it without syncing it yet.
            sync_directory(&self.root.join(first))?;
            sync_directory(&self.root)?;
            durable().insert(key.as_str()[..4].to_owned());
        }
        let incoming = self.write_incoming(bytes)?;
        let moved = fs::rename(&incoming, directory.join(key.as_str()));
        if moved.is_err() {
            // The directory may have been removed meanwhile: the next put creates it again.
            durable().remove(&key.as_str()[..4]);
            let _ = fs::remove_file(&incoming);
        }
        moved?;
        sync_directory(&directory)
    }

    /// Writes a new file in `incoming` and waits until it is on disk; leaves nothing behind on failure.
    fn write_incoming(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        let name = MediaKey::random("part").map_err(io::Error::other)?;
        let path = self.root.join(INCOMING).join(name.as_str());
        let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| path)
    }

    fn probe(&self) -> io::Result<()> {
        let path = self.write_incoming(b"probe")?;
        let read = fs::read(&path);
        fs::remove_file(&path)?;
        match read? == b"probe" {
            true => Ok(()),
            false => Err(io::Error::other("what was written is not what is read")),
        }
    }

    fn path(&self, key: &MediaKey) -> PathBuf {
        let key = key.as_str();
        self.root.join(&key[..2]).join(&key[2..4]).join(key)
    }
}

fn ignore_missing(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// Without this, a power loss may undo a rename that has already been acknowledged.
fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn unavailable(what: &str, error: io::Error) -> Error {
    let sentence = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "the disk of the media store is full".to_owned(),
        _ => format!("the media store cannot be {what}"),
    };
    Error::unavailable(sentence).because(error)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
