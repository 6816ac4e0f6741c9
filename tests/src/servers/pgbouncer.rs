//! PgBouncer in transaction mode, in front of PostgreSQL servers.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::installed;
use super::place::{Place, User};
use super::postgres::{PASSWORD, Postgres, USER};
use super::process::{Ended, Process, Program, on_a_free_port};

/// A pooler that assigns a server connection to a client for one transaction at a time.
#[derive(Debug)]
pub struct PgBouncer {
    process: Option<Process>,
    port: u16,
    place: Place,
}

/// The settings of a PgBouncer.
#[derive(Debug)]
pub struct PgBouncerSetup {
    release: &'static str,
    databases: Vec<String>,
    settings: Vec<(String, String)>,
}

impl PgBouncerSetup {
    /// Routes this name to the database of the same name on this server, whatever the other routes are.
    #[must_use]
    pub fn database(mut self, name: &str, server: &Postgres) -> Self {
        self.databases.push(to(name, server.port()));
        self
    }

    /// How many prepared statements it keeps per connection; 0 disables them.
    #[must_use]
    pub fn prepared_statements(self, count: usize) -> Self {
        self.set("max_prepared_statements", &count.to_string())
    }

    /// Sets any other option, such as `default_pool_size`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Debian 12's version 1.18, which does not support prepared statements.
    #[must_use]
    pub fn old(mut self) -> Self {
        self.release = "pgbouncer-1.18";
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it does not start, or is not installed.
    pub async fn start(self) -> PgBouncer {
        let place = Place::new();
        let unpacked = installed().join(self.release);
        assert!(
            unpacked.exists(),
            "PgBouncer is not in {}: run tests/servers/install TARGET/servers",
            unpacked.display()
        );
        // Its user may not have access to the directories above it.
        let copied = Command::new("cp").arg("-rT").arg(&unpacked).arg(place.path().join("program")).status();
        assert!(copied.expect("cp can be run").success(), "{} can't be copied", unpacked.display());
        let users = format!("\"{USER}\" \"{PASSWORD}\"\n");
        std::fs::write(place.path().join("users"), users).expect("the directory is ours");
        let (port, process) = on_a_free_port(async |port| {
            std::fs::write(place.path().join("settings"), self.file(port)).expect("the directory is ours");
            run(&place).await
        })
        .await;
        PgBouncer { process: Some(process), port, place }
    }

    fn file(&self, port: u16) -> String {
        let mut file = format!("[databases]\n{}\n[pgbouncer]\n", self.databases.join("\n"));
        let port = port.to_string();
        let base = [
            ("listen_addr", "127.0.0.1"),
            ("listen_port", &port),
            ("unix_socket_dir", ""),
            ("auth_type", "scram-sha-256"),
            ("auth_file", "users"),
            ("admin_users", USER),
            ("pool_mode", "transaction"),
            ("max_client_conn", "1000"),
            // sqlx sends it with every connection.
            ("ignore_startup_parameters", "extra_float_digits"),
        ];
        let set = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in base.into_iter().chain(set) {
            writeln!(file, "{name} = {value}").expect("a text grows");
        }
        file
    }
}

impl PgBouncer {
    /// In front of every database of a server, in a version that supports prepared statements.
    pub async fn start(server: &Postgres) -> Self {
        Self::before(server).start().await
    }

    /// In front of every database of a server that is not routed elsewhere.
    pub fn before(server: &Postgres) -> PgBouncerSetup {
        Self::before_port(server.port())
    }

    pub(super) fn before_port(port: u16) -> PgBouncerSetup {
        PgBouncerSetup { release: "pgbouncer", databases: vec![to("*", port)], settings: vec![] }
    }

    /// The URL for clients; the database `pgbouncer` is the console.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it at once, with all its connections. Does nothing if it is not running.
    pub async fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.stop("KILL").await;
        }
    }

    /// Starts it again on the same port, after stopping it if it is running.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.process = Some(run(&self.place).await.unwrap_or_else(|ended| panic!("{ended}")));
    }

    /// Pauses it: connections stay open, without responses.
    pub fn pause(&mut self) {
        self.process.as_mut().expect("it runs").pause();
    }

    /// Ends the pause.
    pub fn resume(&mut self) {
        self.process.as_mut().expect("it runs").resume();
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

fn to(name: &str, port: u16) -> String {
    format!("{name} = host=127.0.0.1 port={port}")
}

/// Runs it with the C library that it came with, which may be newer than this machine's.
async fn run(place: &Place) -> Result<Process, Ended> {
    let directory = place.path().join("program");
    let program = Program {
        path: &directory.join("loader"),
        user: User::unprivileged(),
        end: "KILL",
        directory: place.path(),
        ready: "process up",
    };
    let arguments =
        ["--library-path".into(), directory.clone(), directory.join("pgbouncer"), "settings".into()];
    program.start(arguments).await
}
