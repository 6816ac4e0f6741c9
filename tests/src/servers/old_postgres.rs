//! A PostgreSQL that is too old for the service.

use std::process::Command;

use super::installed;
use super::place::{Place, User};
use super::postgres::{USER, copy};
use super::process::{Process, Program, on_a_free_port};

/// PostgreSQL 14, with only its initial database and without a password.
#[derive(Debug)]
pub struct OldPostgres {
    // Before the directory it writes to, because fields are dropped in order.
    _process: Process,
    port: u16,
    _place: Place,
}

impl OldPostgres {
    /// Starts a server.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let place = Place::new();
        // A copy, because the target directory may be closed to other users.
        copy(&installed().join("postgres-14"), &place.path().join("installed"));
        let binaries = place.path().join("installed/bin");
        let user = User::unprivileged();
        let mut initdb = Command::new("setpriv");
        if let Some(User { uid, gid }) = user {
            initdb.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
        }
        initdb.arg("--").arg(binaries.join("initdb"));
        initdb.args(["-A", "trust", "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
        let made = initdb.arg(place.path().join("data")).current_dir(place.path()).output();
        let made = made.expect("setpriv can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let (port, process) = on_a_free_port(async |port| {
            let program = Program {
                path: &binaries.join("postgres"),
                user,
                end: "QUIT",
                directory: place.path(),
                ready: "database system is ready to accept connections",
            };
            let settings = [
                format!("port={port}"),
                "listen_addresses=127.0.0.1".to_owned(),
                "unix_socket_directories=".to_owned(),
                "dynamic_shared_memory_type=mmap".to_owned(),
            ];
            let arguments = settings.iter().flat_map(|setting| ["-c", setting.as_str()]);
            program.start(["-D", "data"].into_iter().chain(arguments)).await
        })
        .await;
        Self { _process: process, port, _place: place }
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }
}
