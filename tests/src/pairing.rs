//! Which stores the programs of this run stand on: files of the data directory, or real servers.
//!
//! `TEST_PAIRING=servers` chooses the servers. There each data directory stands for an installation,
//! so that a second process with the same directory is one of the same service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::servers::{Installation, Shared};

const VARIABLE: &str = "TEST_PAIRING";

/// What a program's data is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// SQLite and media files in the data directory.
    Embedded,
    /// PostgreSQL behind PgBouncer, and Redis.
    Servers,
}

impl Pairing {
    /// That of this run.
    ///
    /// # Panics
    /// When the variable names none.
    pub fn of_this_run() -> Self {
        match std::env::var(VARIABLE).as_deref() {
            Err(_) | Ok("embedded") => Self::Embedded,
            Ok("servers") => Self::Servers,
            Ok(other) => panic!("{VARIABLE} is {other}: it may be embedded or servers"),
        }
    }
}

fn installations() -> MutexGuard<'static, BTreeMap<PathBuf, Arc<Installation>>> {
    static INSTALLATIONS: Mutex<BTreeMap<PathBuf, Arc<Installation>>> = Mutex::new(BTreeMap::new());
    INSTALLATIONS.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The installation that a data directory stands for, if it stands for one.
pub(crate) fn installation(data: &Path) -> Option<Arc<Installation>> {
    installations().get(data).cloned()
}

/// The same, made if there is none; whether it was.
pub(crate) async fn new_installation(data: &Path) -> (Arc<Installation>, bool) {
    if let Some(known) = installation(data) {
        return (known, false);
    }
    let made = Arc::new(Shared::get().await.installation().await);
    installations().insert(data.to_owned(), Arc::clone(&made));
    (made, true)
}

/// Ends the installation with its data directory.
pub(crate) fn forget(data: &Path) {
    // Dropped after the lock is: it talks to servers.
    let _forgotten = installations().remove(data);
}
