//! The stores under the programs of this run: files in the data directory, or real servers.
//!
//! `TEST_PAIRING=servers` selects the servers. Each data directory then stands for an installation, so
//! that a second process with the same directory belongs to the same service.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::servers::{Installation, Shared};

const VARIABLE: &str = "TEST_PAIRING";

/// The stores of a program's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pairing {
    /// SQLite and media files in the data directory.
    Embedded,
    /// PostgreSQL behind PgBouncer, and Redis.
    Servers,
}

impl Pairing {
    /// The pairing of this run.
    ///
    /// # Panics
    /// If the variable has another value.
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

/// The installation of a data directory, if it has one.
pub(crate) fn installation(data: &Path) -> Option<Arc<Installation>> {
    installations().get(data).cloned()
}

/// The same, created if there is none; and whether it was created.
pub(crate) async fn new_installation(data: &Path) -> (Arc<Installation>, bool) {
    if let Some(known) = installation(data) {
        return (known, false);
    }
    let made = Arc::new(Shared::get().await.installation().await);
    installations().insert(data.to_owned(), Arc::clone(&made));
    (made, true)
}

/// Removes the installation of a data directory.
pub(crate) fn forget(data: &Path) {
    // Dropped after the lock is released, because it calls servers.
    let _forgotten = installations().remove(data);
}
