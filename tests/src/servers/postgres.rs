//! A PostgreSQL server with its own cluster.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::installed;
use super::place::{Place, User, uid};
use super::process::{Ended, Process, Program, on_a_free_port};
use super::tls::Certificate;

pub(super) const USER: &str = "tripod";
pub(super) const PASSWORD: &str = "open-sesame";

/// The separators in psql's output, which no value contains.
const FIELD: char = '\u{1f}';
const RECORD: char = '\u{1e}';

/// The settings under those that are passed in. Acknowledged writes are durable: `fsync` is on.
const SETTINGS: [(&str, &str); 8] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    ("shared_buffers", "64MB"),
    // Moves of logical shards use logical replication.
    ("wal_level", "logical"),
    // Otherwise a killed server would leave files in /dev/shm.
    ("dynamic_shared_memory_type", "mmap"),
    ("log_destination", "stderr"),
    ("logging_collector", "off"),
];

/// Mounts a disk of $2 MiB at $1, visible only to this process and its children, and executes the server
/// there. Mounting needs a user namespace with root; PostgreSQL needs one without. A change of user
/// resets the parent-death signal, so it is set again.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o "size=${2}m,mode=0700" tmpfs "$1"
shift 2
exec unshare --user --map-user=1000 --map-group=1000 setpriv --pdeathsig QUIT -- "$@"
"#;

/// A server of the newest release on the machine, with a password.
#[derive(Debug)]
pub struct Postgres {
    // Before the directory it writes to, because fields are dropped in order.
    process: Option<Process>,
    port: u16,
    settings: Vec<String>,
    small_disk_mib: Option<u32>,
    certificate: Option<Certificate>,
    place: Place,
}

impl Postgres {
    /// Starts a server with production settings: durable.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts a server with these settings, such as `("fsync", "off")`.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(new_cluster(), settings, None, None).await
    }

    /// Starts a server with an extra disk of this size, the tablespace `small`, which is removed with
    /// it. Data there can fill the disk, while the write-ahead log, which is elsewhere, continues.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with_small_disk(mebibytes: u32) -> Self {
        let place = new_cluster();
        let small = place.make_directory("small");
        let server = Self::start_in(place, &[], Some(mebibytes), None).await;
        server.query("postgres", &format!("CREATE TABLESPACE small LOCATION '{}'", small.display())).await;
        server
    }

    /// Starts a server that accepts connections over TLS only.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with_tls() -> Self {
        let place = new_cluster();
        let certificate = Certificate::make(place.path());
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
        std::fs::write(place.path().join("data/pg_hba.conf"), rule).expect("the cluster is ours");
        let path = |path: &Path| path.display().to_string();
        let (server, key) = (path(&certificate.server), path(&certificate.key));
        let settings = [("ssl", "on"), ("ssl_cert_file", &server), ("ssl_key_file", &key)];
        Self::start_in(place, &settings, None, Some(certificate)).await
    }

    /// Starts a standby that follows `primary` and can take its place: an exact copy, kept up to date.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn standby_of(primary: &Self) -> Self {
        let place = Place::new();
        let mut copy = as_user(User::unprivileged());
        copy.arg(binaries().join("pg_basebackup"))
            .args(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .args(["--dbname", &primary.url("postgres")])
            .arg("--pgdata")
            .arg(place.path().join("data"))
            .current_dir(place.path());
        let copied = tokio::process::Command::from(copy).kill_on_drop(true).output().await;
        let copied = copied.expect("pg_basebackup can be run");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        Self::start_in(place, &[("fsync", "off")], None, None).await
    }

    /// Makes a standby the primary, and waits until it takes writes.
    ///
    /// # Panics
    /// If it does not become one.
    pub async fn promote(&self) {
        assert_eq!(self.query("postgres", "SELECT pg_promote()").await, [["t"]]);
    }

    async fn start_in(
        place: Place,
        settings: &[(&str, &str)],
        small_disk_mib: Option<u32>,
        certificate: Option<Certificate>,
    ) -> Self {
        let settings: Vec<String> =
            SETTINGS.iter().chain(settings).map(|(name, value)| format!("{name}={value}")).collect();
        let started = on_a_free_port(async |port| run(&place, port, &settings, small_disk_mib).await).await;
        let (port, process) = (started.0, Some(started.1));
        Self { process, port, settings, small_disk_mib, certificate, place }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL for clients, as a superuser. With TLS it requires a certificate from this server's
    /// authority.
    pub fn url(&self, database: &str) -> String {
        let url = format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{}/{database}", self.port);
        match &self.certificate {
            None => url,
            Some(made) => format!("{url}?sslmode=verify-full&sslrootcert={}", made.authority.display()),
        }
    }

    /// The certificate of the authority that signed this server's certificate, if it has TLS.
    ///
    /// # Panics
    /// If it has no TLS.
    pub fn authority(&self) -> &Path {
        &self.certificate.as_ref().expect("it was started with TLS").authority
    }

    /// Creates an empty database.
    ///
    /// # Panics
    /// If the database already exists.
    pub async fn create_database(&self, name: &str) {
        self.query("postgres", &format!("CREATE DATABASE \"{name}\"")).await;
    }

    /// The rows of a query, each value as psql prints it.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn query(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        query(&self.url(database), sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The same for any PostgreSQL URL, including a PgBouncer's; or psql's error message.
    pub async fn try_query(url: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
        query(url, sql).await
    }

    /// Stops it as an operator does, after a checkpoint. Does nothing if it is not running.
    pub async fn stop(&mut self) {
        self.end("INT").await;
    }

    /// Ends it without a checkpoint: it recovers at the next start.
    pub async fn kill(&mut self) {
        self.end("QUIT").await;
    }

    async fn end(&mut self, signal: &str) {
        if let Some(process) = self.process.take() {
            process.stop(signal).await;
        }
    }

    /// Starts it again on the same port, after stopping it if it is running.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn restart(&mut self) {
        self.stop().await;
        let started = run(&self.place, self.port, &self.settings, self.small_disk_mib).await;
        self.process = Some(started.unwrap_or_else(|ended| panic!("{ended}")));
    }

    /// Pauses it: connections stay open, without responses.
    pub fn pause(&mut self) {
        self.process.as_mut().expect("it runs").pause();
    }

    /// Ends the pause.
    pub fn resume(&mut self) {
        self.process.as_mut().expect("it runs").resume();
    }

    /// The main process.
    ///
    /// # Panics
    /// If it is not running.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").pid()
    }

    /// Its directory, with the cluster in `data`.
    pub fn directory(&self) -> &Path {
        self.place.path()
    }

    /// Its log since the last start; empty if it is not running.
    pub fn log(&self) -> String {
        self.process.as_ref().map(Process::log).unwrap_or_default()
    }
}

/// The rows of a query, each value as psql prints it; or psql's error message.
pub(super) async fn query(url: &str, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let mut psql = psql(url);
    psql.args(["-c", sql]);
    let output = tokio::process::Command::from(psql).kill_on_drop(true).output().await;
    let output = output.map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8(output.stdout).expect("the databases are UTF-8");
    // Empty output is no row; a line end alone is a row with one empty text.
    let Some(records) = text.strip_suffix('\n') else { return Ok(vec![]) };
    Ok(records.split(RECORD).map(|record| record.split(FIELD).map(str::to_owned).collect()).collect())
}

/// psql, without configuration from the environment or files.
pub(super) fn psql(url: &str) -> Command {
    let mut psql = Command::new(binaries().join("psql"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PG")) {
        psql.env_remove(name);
    }
    psql.env("PGCONNECT_TIMEOUT", "20")
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
        .args(["-F", &FIELD.to_string(), "-R", &RECORD.to_string(), "-d", url])
        .stdin(std::process::Stdio::null());
    psql
}

async fn run(
    place: &Place,
    port: u16,
    settings: &[String],
    small_disk_mib: Option<u32>,
) -> Result<Process, Ended> {
    let data = place.path().join("data");
    let postgres = binaries().join("postgres");
    let program = Program {
        path: if small_disk_mib.is_some() { Path::new("unshare") } else { &postgres },
        user: User::unprivileged(),
        end: "QUIT",
        directory: place.path(),
        ready: match data.join("standby.signal").exists() {
            true => "database system is ready to accept read-only connections",
            false => "database system is ready to accept connections",
        },
    };
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(mebibytes) = small_disk_mib {
        arguments.extend(
            ["--user", "--map-root-user", "--mount", "sh", "-ec", ON_A_SMALL_DISK, "sh"].map(Into::into),
        );
        arguments.extend([
            place.path().join("small").into(),
            mebibytes.to_string().into(),
            postgres.clone().into(),
        ]);
    }
    arguments.extend(["-D".into(), data.into(), "-p".into(), port.to_string().into()]);
    for setting in settings {
        arguments.extend(["-c".into(), setting.into()]);
    }
    program.start(arguments).await
}

/// The programs of the newest installed release.
fn binaries() -> PathBuf {
    let releases = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = releases
        .filter(|release| release.path().join("bin/initdb").exists())
        .filter_map(|release| release.file_name().to_str()?.parse::<u32>().ok())
        .max();
    let newest = newest.expect("PostgreSQL is not installed: run tests/servers/install TARGET/servers");
    assert!(newest >= 15, "PostgreSQL {newest} is too old: the tests need 15 or later");
    format!("/usr/lib/postgresql/{newest}/bin").into()
}

/// A copy of a cluster that is made once per machine, because making one takes seconds.
fn new_cluster() -> Place {
    let place = Place::new();
    copy(&template(), &place.path().join("data"));
    place
}

fn template() -> PathBuf {
    let user = User::unprivileged();
    let release = binaries().parent().and_then(Path::file_name).expect("it has a release").to_owned();
    let owner = user.map_or_else(uid, |user| user.uid);
    let template = installed().join(format!("postgres-{}-{owner}", release.display()));
    std::fs::create_dir_all(installed()).expect("the target directory is ours");
    let lock = File::create(installed().join("lock")).expect("the target directory is ours");
    lock.lock().expect("a file can be locked");
    if !template.exists() {
        let place = Place::new();
        let password = place.path().join("password");
        std::fs::write(&password, PASSWORD).expect("the directory is ours");
        let made = as_user(user)
            .arg(binaries().join("initdb"))
            .args(["-A", "scram-sha-256", "-U", USER, "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"])
            .arg("--pwfile")
            .arg(&password)
            .arg(place.path().join("data"))
            .current_dir(place.path())
            .output()
            .expect("setpriv can be run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let copied = installed().join(format!("making-{}", std::process::id()));
        copy(&place.path().join("data"), &copied);
        std::fs::rename(copied, &template).expect("a directory can be renamed");
    }
    template
}

/// A command that runs the program given as its first argument as this user.
fn as_user(user: Option<User>) -> Command {
    let mut command = Command::new("setpriv");
    if let Some(User { uid, gid }) = user {
        command.args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"]);
    }
    command.arg("--");
    command
}

/// Copies with owners and permissions, and without a second copy on disk if the file system supports
/// that.
pub(super) fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status();
    assert!(copied.expect("cp can be run").success(), "{} can't be copied", from.display());
}

/// The program `pgbench` of the same release.
pub fn pgbench() -> PathBuf {
    binaries().join("pgbench")
}
