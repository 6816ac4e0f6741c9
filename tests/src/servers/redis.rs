//! A Redis server without automatic persistence.

use std::path::Path;
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisResult};

use super::place::Place;
use super::process::{Ended, Process, Program, on_a_free_port};

/// The timeout of a test's own command.
const REPLY: Duration = Duration::from_secs(10);

/// A Redis server. It keeps its data until it stops, and writes a snapshot only on request.
#[derive(Debug)]
pub struct Redis {
    process: Option<Process>,
    port: u16,
    settings: Vec<(String, String)>,
    place: Place,
}

impl Redis {
    /// Starts an empty server.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts an empty server with these settings, such as `("maxmemory", "16mb")`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        let place = Place::new();
        let settings: Vec<(String, String)> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (port, process) = on_a_free_port(async |port| run(&place, port, &settings).await).await;
        Self { process: Some(process), port, settings, place }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for clients.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The host and port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The reply to a command, such as `["GET", "key"]`.
    ///
    /// # Panics
    /// If there is no reply, or it has another type.
    pub async fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        ask(self.port, command).await.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Deletes every key.
    pub async fn flush(&self) {
        self.ask::<()>(&["FLUSHALL"]).await;
    }

    /// Writes the snapshot that the next start reads.
    pub async fn save(&self) {
        self.ask::<()>(&["SAVE"]).await;
    }

    /// Ends it at once. Does nothing if it is not running.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("KILL").await;
        }
    }

    /// Starts it again on the same port, after stopping it if it is running. It has the data of its last
    /// snapshot, however old, or none.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        let started = run(&self.place, self.port, &self.settings).await;
        self.process = Some(started.unwrap_or_else(|ended| panic!("{ended}")));
    }

    /// Changes a setting for the next start.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Starts it again without its snapshot.
    pub async fn restart_empty(&mut self) {
        self.stop().await;
        let _ = std::fs::remove_file(self.directory().join("dump.rdb"));
        self.restart().await;
    }

    /// Pauses it: connections stay open, without responses.
    ///
    /// # Panics
    /// If it is not running.
    pub fn pause(&mut self) {
        self.process.as_mut().expect("it runs").pause();
    }

    /// Ends the pause.
    ///
    /// # Panics
    /// If it is not running.
    pub fn resume(&mut self) {
        self.process.as_mut().expect("it runs").resume();
    }

    /// Whether it was started and has not been stopped.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Its process.
    ///
    /// # Panics
    /// If it is not running.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid()
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.place.path()
    }
}

async fn run(place: &Place, port: u16, settings: &[(String, String)]) -> Result<Process, Ended> {
    let mut arguments: Vec<String> =
        ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""].map(str::to_owned).into();
    for (name, value) in settings {
        arguments.extend([format!("--{name}"), value.clone()]);
    }
    let program = Program {
        path: Path::new("redis-server"),
        user: None,
        end: "KILL",
        directory: place.path(),
        ready: "Ready to accept connections",
    };
    program.start(arguments).await
}

/// The reply of any Redis-compatible server on this port.
pub(super) async fn ask<T: FromRedisValue>(port: u16, command: &[&str]) -> RedisResult<T> {
    let mut request = ::redis::cmd(command[0]);
    request.arg(&command[1..]);
    request.query_async(&mut connect(port).await?).await
}

async fn connect(port: u16) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(REPLY)).set_response_timeout(Some(REPLY));
    let client = Client::open(("127.0.0.1", port))?;
    client.get_multiplexed_async_connection_with_config(&config).await
}
