//! The place of a server: a temporary directory and a port.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Once;

use rand::RngExt;
use tempfile::TempDir;

const PREFIX: &str = "tripod-servers-";

/// Below the ports that Linux uses for outgoing connections, which would interfere.
const PORTS: std::ops::Range<u16> = 10_000..32_768;

/// The user for servers that refuse to run as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// `None` if this process is not root; servers then run as its user.
    ///
    /// # Panics
    /// If the machine has no suitable user.
    pub(super) fn unprivileged() -> Option<Self> {
        if uid() != 0 {
            return None;
        }
        let users = std::fs::read_to_string("/etc/passwd").expect("the users can be read");
        let user = |name: &str| {
            let fields: Vec<&str> = users
                .lines()
                .map(|line| line.split(':'))
                .find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.collect()))?;
            Some(Self { uid: fields.get(1)?.parse().ok()?, gid: fields.get(2)?.parse().ok()? })
        };
        Some(user("postgres").or_else(|| user("nobody")).expect("there is a user who is not root"))
    }
}

/// The user of this process.
pub(super) fn uid() -> u32 {
    std::fs::metadata("/proc/self").expect("this process is in /proc").uid()
}

/// A temporary directory that servers may write to. It is removed when dropped.
#[derive(Debug)]
pub(super) struct Place(TempDir);

impl Place {
    pub(super) fn new() -> Self {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(sweep);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a temporary directory");
        if let Some(user) = User::unprivileged() {
            chown(directory.path(), Some(user.uid), Some(user.gid)).expect("root gives directories away");
        }
        Self(directory)
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A directory in it, with the same owner.
    pub(super) fn make_directory(&self, name: &str) -> PathBuf {
        let directory = self.path().join(name);
        std::fs::create_dir(&directory).expect("the place is ours");
        if let Some(user) = User::unprivileged() {
            chown(&directory, Some(user.uid), Some(user.gid)).expect("root gives directories away");
        }
        directory
    }
}

/// Removes the directories of killed processes.
fn sweep() {
    for entry in std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// A port that is currently free.
///
/// # Panics
/// If hundreds of ports are taken.
pub(super) fn free_port() -> u16 {
    let mut random = rand::rng();
    let mut tried = (0..500).map(|_| random.random_range(PORTS));
    tried.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a port is free")
}
