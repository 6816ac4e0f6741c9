//! Without shared stores, only one process may run; a second one is refused.
//!
//! If a database is a file, a file in the data directory is locked. If all are servers, a lock is taken
//! in each that answers, and checked for as long as the process runs.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::db::{Database, Lock};
use crate::error::{Error, Result};
use crate::permissions::{restrict_directory, restrict_file};

/// The key of the lock in the database.
const SERVING: i32 = 3;
/// The pause between two checks of whether the lock is still held.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// What ensures that this is the only process.
#[derive(Debug)]
pub(crate) enum InstanceLock {
    /// A locked file in the data directory, for as long as this value lives.
    Directory { _lock: File },
    /// A lock in each database; `None` where it could not be taken yet.
    Databases(Vec<(Database, Option<Lock>)>),
    /// No lock: all state that processes have to agree on is in shared stores.
    NotNeeded,
}

impl InstanceLock {
    /// Locks the data directory if a database is a file. Call it before opening that file.
    pub(super) fn of_files(config: &Config) -> Result<Self> {
        match config.has_files() {
            true => Ok(Self::Directory { _lock: lock_directory(&config.data_dir)? }),
            false => Ok(Self::NotNeeded),
        }
    }

    /// Takes a lock in the databases if all are servers and nothing else is shared.
    pub(super) async fn of_servers(self, config: &Config, databases: &[Database]) -> Result<Self> {
        if config.is_shared() {
            return Ok(self);
        }
        let Self::NotNeeded = self else { return Ok(self) };
        // In the same order in all processes, however the databases are listed.
        let mut databases = databases.to_vec();
        databases.sort_by(|a, b| a.name().cmp(b.name()));
        let mut locks = Vec::new();
        for database in databases {
            if database.is_absent() {
                locks.push((database, None));
                continue;
            }
            let Some(lock) = database.try_lock(SERVING).await? else {
                return Err(Error::configuration(format!(
                    "another process serves from {}: several need Redis, which they share feeds through; stop the \
                     other one, or set redis (TRIPOD_REDIS) for both",
                    database.name()
                )));
            };
            locks.push((database, Some(lock)));
        }
        Ok(Self::Databases(locks))
    }

    /// Stops this process when another one has taken a lock, which is lost with its connection.
    pub(super) async fn watch(self, stop: CancellationToken) {
        let Self::Databases(mut locks) = self else { return stop.cancelled().await };
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
            for (database, lock) in locks.iter_mut().filter(|(database, _)| !database.is_absent()) {
                if let Some(held) = lock
                    && held.check().await.is_ok()
                {
                    continue;
                }
                match database.try_lock(SERVING).await {
                    Ok(Some(again)) => *lock = Some(again),
                    Ok(None) => {
                        tracing::error!(
                            database = database.name(),
                            "another process serves from this database: stopping"
                        );
                        stop.cancel();
                    }
                    // While the database is away, other processes can't take the lock either.
                    Err(error) => {
                        tracing::warn!(error = error.chain(), "the lock of this process can't be checked")
                    }
                }
            }
        }
    }
}

fn lock_directory(directory: &Path) -> Result<File> {
    let cannot = |what: &str, error| cannot(what, directory, error);
    create_directory(directory)?;
    let path = directory.join("lock");
    restrict_file(&path).map_err(|error| cannot("restrict", error))?;
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

/// Creates the data directory if it is missing, and makes it private if it is not.
pub(super) fn create_directory(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| cannot("create", directory, error))?;
    restrict_directory(directory).map_err(|error| cannot("restrict", directory, error))
}

fn cannot(what: &str, directory: &Path, error: std::io::Error) -> Error {
    let mend = "give this user the right to, or set data_dir (TRIPOD_DATA_DIR) to another directory";
    Error::configuration(format!("cannot {what} the data directory {}: {mend}", directory.display()))
        .because(error)
}
