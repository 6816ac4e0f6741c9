//! Without a shared store there is one process: the second one is refused.
//!
//! Where a database is a file, a file in the data directory is locked; where all are servers, one of
//! them is asked for a lock, which is watched for as long as the process runs.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::db::{Database, Lock};
use crate::error::{Error, Result};

/// The number of the lock in the database.
const SERVING: i32 = 3;
/// Between two looks at whether it is still held.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What makes this process the only one.
#[derive(Debug)]
pub(crate) enum InstanceLock {
    /// The data directory's file is locked, for as long as this is held.
    Directory { _lock: File },
    /// A database's lock is held.
    Database { database: Database, lock: Lock },
    /// It need not be: what processes must agree on is in stores that they share.
    NotNeeded,
}

impl InstanceLock {
    /// Locks the data directory, if a database is a file: before it is opened.
    pub(super) fn of_files(config: &Config) -> Result<Self> {
        match config.has_files() {
            true => Ok(Self::Directory { _lock: lock_directory(&config.data_dir)? }),
            false => Ok(Self::NotNeeded),
        }
    }

    /// Asks the databases, if all of them are servers and nothing else is shared.
    pub(super) async fn of_servers(self, config: &Config, databases: &[Database]) -> Result<Self> {
        if config.is_shared() {
            return Ok(self);
        }
        // Everyone asks the same one, in whichever order they are listed.
        let first = databases.iter().min_by_key(|database| database.name());
        let (Self::NotNeeded, Some(first)) = (&self, first) else { return Ok(self) };
        match first.try_lock(SERVING).await? {
            Some(lock) => Ok(Self::Database { database: first.clone(), lock }),
            None => Err(Error::configuration(format!(
                "another process serves from {}: several need Redis, which they share feeds through; stop the \
                 other one, or set redis (TRIPOD_REDIS) for both",
                first.name()
            ))),
        }
    }

    /// Stops this process once another one has become the only one: the lock goes with its connection.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let Self::Database { database, mut lock } = self else { return stop.cancelled().await };
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            if lock.check().await.is_ok() {
                continue;
            }
            match database.try_lock(SERVING).await {
                Ok(Some(again)) => lock = again,
                Ok(None) => {
                    tracing::error!(
                        database = database.name(),
                        "another process serves from this database: stopping"
                    );
                    stop.cancel();
                }
                // Nobody else can have it either.
                Err(error) => {
                    tracing::warn!(error = error.chain(), "the lock of this process can't be checked")
                }
            }
        }
    }
}

fn lock_directory(directory: &Path) -> Result<File> {
    let cannot = |what: &str, error| cannot(what, directory, error);
    create_directory(directory)?;
    let path = directory.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| cannot("write to", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(|error| cannot("read", error))?;
            return Err(Error::configuration(format!(
                "the data directory {} is in use by process {}: stop it, or set data_dir (TRIPOD_DATA_DIR) to another directory",
                directory.display(),
                holder.trim()
            )));
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(cannot("lock", error)),
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(|error| cannot("write to", error))?;
    Ok(file)
}

/// Makes sure that there is a data directory.
pub(super) fn create_directory(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| cannot("create", directory, error))
}

fn cannot(what: &str, directory: &Path, error: std::io::Error) -> Error {
    let mend = "give this user the right to, or set data_dir (TRIPOD_DATA_DIR) to another directory";
    Error::configuration(format!("cannot {what} the data directory {}: {mend}", directory.display()))
        .because(error)
}
