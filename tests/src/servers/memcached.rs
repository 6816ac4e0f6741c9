//! A memcached server, for comparison in benchmarks.

use std::path::Path;

use tokio::net::TcpStream;

use super::place::Place;
use super::process::{Process, Program, on_a_free_port};
use crate::eventually;

/// A memcached server that stops when dropped.
#[derive(Debug)]
pub struct Memcached {
    _process: Process,
    _place: Place,
    port: u16,
}

impl Memcached {
    /// Starts an empty one, with two threads: as many as the benchmarks' machine has processors.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        let place = Place::new();
        let (port, process) = on_a_free_port(async |port| {
            let program = Program {
                path: Path::new("memcached"),
                user: None,
                end: "KILL",
                directory: place.path(),
                // It prints nothing when it is ready.
                ready: "",
            };
            let port = port.to_string();
            let arguments =
                ["-l", "127.0.0.1", "-p", &port, "-U", "0", "-t", "2", "-m", "256", "-u", "nobody"];
            program.start(arguments).await
        })
        .await;
        eventually("memcached listens", std::time::Duration::from_secs(10), async || {
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
