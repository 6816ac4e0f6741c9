//! A Gearman server without persistence, for comparison in benchmarks.

use std::path::Path;

use tokio::net::TcpStream;

use super::place::Place;
use super::process::{Process, Program, on_a_free_port};
use crate::eventually;

/// A Gearman server that stops when dropped.
#[derive(Debug)]
pub struct Gearman {
    _process: Process,
    _place: Place,
    port: u16,
}

impl Gearman {
    /// Starts one with an empty queue in memory, and two threads: as many as the benchmarks' machine has
    /// processors.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let place = Place::new();
        let (port, process) = on_a_free_port(async |port| {
            let program = Program {
                path: Path::new("/usr/sbin/gearmand"),
                user: None,
                end: "KILL",
                directory: place.path(),
                // It prints nothing when it is ready.
                ready: "",
            };
            let port = port.to_string();
            program.start(["-L", "127.0.0.1", "-p", &port, "-t", "2", "-l", "stderr"]).await
        })
        .await;
        eventually("gearmand listens", std::time::Duration::from_secs(10), async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { _process: process, _place: place, port }
    }

    /// The host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}
