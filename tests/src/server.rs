//! The built program as a separate process, with its own data directory and port.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use crate::pairing::{forget, installation, new_installation};
use crate::{Api, Pairing, Person, Stored, eventually};

/// Starting takes well under a second. It takes longer on two cores that are busy building, and filling
/// a demo keeps both of them busy for half a minute.
const START: Duration = Duration::from_secs(300);
/// Stopping takes the drain time, and a little more.
const STOP: Duration = Duration::from_secs(40);

/// How a server is started.
#[derive(Debug)]
pub struct Setup {
    pairing: Pairing,
    variables: Vec<(String, String)>,
    arguments: Vec<String>,
    data: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self { pairing: Pairing::of_this_run(), variables: vec![], arguments: vec![], data: None }
    }
}

/// A running server. It stops when dropped, and its logs are shown if the test has failed.
pub struct Server {
    child: Child,
    address: String,
    setup: Setup,
    data: PathBuf,
    /// The logs and the output of each start.
    scratch: TempDir,
    starts: usize,
}

/// How a process ended, and its output.
#[derive(Debug)]
pub struct Exit {
    /// Its status.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its log, and the error that ended it.
    pub stderr: String,
}

/// The program: the one in `INSTACLONE_BIN`, or built now, in this program's profile.
///
/// # Panics
/// If it can't be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("INSTACLONE_BIN") {
            return path.into();
        }
        let profile = profile();
        let name = match profile.file_name().and_then(|name| name.to_str()) {
            None | Some("debug") => "dev",
            Some(name) => name,
        };
        let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // The whole workspace is named so that its dependencies have the same features as for the tests,
        // and a test is named for its own dependencies: otherwise they would be built again.
        build.args(["build", "--quiet", "--workspace", "--bin", "instaclone", "--profile", name]);
        if name == "dev" {
            build.args(["--test", "whole_system"]);
        }
        // Cargo sets variables about this test's package that a build from outside does not have. The
        // build scripts of some crates read them: they, and everything that depends on them, would be
        // built again.
        for (name, _) in std::env::vars_os() {
            let told = name.to_string_lossy();
            if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") {
                build.env_remove(&name);
            }
        }
        let built = build
            .arg("--target-dir")
            .arg(target())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be run");
        assert!(built.success(), "instaclone does not build");
        profile.join("instaclone")
    })
}

/// The profile directory of this program, which is TARGET/PROFILE/NAME or TARGET/PROFILE/deps/NAME.
fn profile() -> PathBuf {
    let this = std::env::current_exe().expect("this program has a path");
    let directory = this.parent().expect("it is in a directory");
    let profile = if directory.ends_with("deps") { directory.parent() } else { Some(directory) };
    profile.expect("a profile is in the target directory").to_owned()
}

/// The target directory that this program was built into.
///
/// # Panics
/// If it was moved out of it.
pub fn target() -> PathBuf {
    profile().parent().expect("a profile is in the target directory").to_owned()
}

impl Setup {
    /// On files in the data directory, whatever the pairing of this run, for tests of those files.
    pub fn embedded() -> Self {
        Self { pairing: Pairing::Embedded, ..Self::default() }
    }

    /// Sets an environment variable, such as `TRIPOD_LIMITS`.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_owned(), value.to_string()));
        self
    }

    /// Starts it with this argument, such as `--demo`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Uses this data directory instead of a new one.
    #[must_use]
    pub fn data(mut self, data: &Path) -> Self {
        self.data = Some(data.to_owned());
        self
    }

    fn data_in(&self, directory: &Path) -> PathBuf {
        self.data.clone().unwrap_or_else(|| directory.join("data"))
    }

    /// Whether it uses servers: a test that lists its databases has its own.
    fn is_on_servers(&self) -> bool {
        self.pairing == Pairing::Servers && self.variables.iter().all(|(name, _)| name != "TRIPOD_DATABASES")
    }

    /// Creates what the program needs before its first start: on servers, migrated databases.
    ///
    /// # Panics
    /// If they can't be created.
    pub async fn prepare(&self, directory: &Path) {
        if !self.is_on_servers() {
            return;
        }
        let (installation, is_new) = new_installation(&self.data_in(directory)).await;
        if is_new {
            let mut migrate = Self { pairing: Pairing::Embedded, ..Self::default() };
            for (name, value) in installation.variables() {
                migrate = migrate.set(name, value);
            }
            let elsewhere = tempfile::tempdir().expect("a temporary directory");
            let exit = migrate.finish(elsewhere.path(), &["migrate"]).await;
            assert!(exit.status.success(), "migrate: {exit:?}");
        }
    }

    /// The program with these settings, in `directory`, which has no `tripod.toml` unless the test
    /// writes one.
    ///
    /// # Panics
    /// If it uses servers and was not prepared.
    pub fn command(&self, directory: &Path, address: &str) -> Command {
        let mut command = Command::new(binary());
        for (name, _) in std::env::vars_os() {
            // Unknown variables would be errors, known ones would change what is tested.
            if name.to_string_lossy().starts_with("TRIPOD_") {
                command.env_remove(name);
            }
        }
        let data = self.data_in(directory);
        if self.is_on_servers() {
            let installation = installation(&data).expect("what runs on servers is prepared");
            command.envs(installation.variables());
        }
        command
            .current_dir(directory)
            .env("TRIPOD_LISTEN", address)
            .env("TRIPOD_DATA_DIR", data)
            .env("TRIPOD_LIMITS", "off")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .args(&self.arguments)
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end, in `directory`, with these arguments.
    ///
    /// # Panics
    /// If it does not end by itself.
    pub async fn run(&self, directory: &Path, arguments: &[&str]) -> Exit {
        self.prepare(directory).await;
        self.finish(directory, arguments).await
    }

    async fn finish(&self, directory: &Path, arguments: &[&str]) -> Exit {
        let mut command = self.command(directory, "127.0.0.1:0");
        let mut child = command
            .args(arguments)
            .stdout(file(&directory.join("run.out")))
            .stderr(file(&directory.join("run.err")))
            .spawn()
            .expect("the program starts");
        let status = wait(&mut child).await;
        if status.is_none() {
            // Do not leave it running, whatever the assertion below does.
            child.kill().expect("a child can be killed");
        }
        let exit = |status| Exit {
            status,
            stdout: read(&directory.join("run.out")),
            stderr: read(&directory.join("run.err")),
        };
        exit(status.unwrap_or_else(|| panic!("it still runs: {}", read(&directory.join("run.err")))))
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    /// If it does not become ready.
    pub async fn start(self) -> Server {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let data = self.data_in(scratch.path());
        self.prepare(scratch.path()).await;
        let child = spawn(&self, scratch.path(), "127.0.0.1:0", 1);
        let mut server = Server { child, address: String::new(), setup: self, data, scratch, starts: 1 };
        server.ready().await;
        server
    }
}

impl Server {
    /// A server with a new data directory, on a free port, without rate limits, ready.
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    /// A client without a token.
    pub fn api(&self) -> Api {
        Api::new(format!("http://{}", self.address))
    }

    /// A person who has just signed up.
    pub async fn person(&self, stem: &str) -> Person {
        Person::sign_up(&self.api(), stem).await
    }

    /// The host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The directory of its databases and media.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The directory where it runs, which is removed with the server.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What its databases and its media directory contain now.
    pub async fn stored(&self) -> Stored {
        Stored::read(&self.data).await
    }

    /// Its log since the last start.
    pub fn log(&self) -> String {
        read(&self.scratch.path().join(format!("{}.err", self.starts)))
    }

    /// Its output since the last start.
    pub fn printed(&self) -> String {
        read(&self.scratch.path().join(format!("{}.out", self.starts)))
    }

    /// Kills it as a power cut would: none of its handlers run.
    ///
    /// # Panics
    /// If it can't be killed.
    pub fn kill_9(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a killed child ends");
    }

    /// Starts it again on the same port and data; kills it first if it is running.
    pub async fn restart(&mut self) {
        self.kill_9();
        self.starts += 1;
        self.child = spawn(&self.setup, self.scratch.path(), &self.address, self.starts);
        self.ready().await;
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    /// If it can't be sent.
    pub fn signal_terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(sent.expect("kill can be run").success(), "the process is gone");
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not end.
    pub async fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child).await.expect("the server ends in time")
    }

    /// Sends SIGTERM and waits until the server has stopped.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal_terminate();
        self.ended().await
    }

    async fn ready(&mut self) {
        let printed = self.scratch.path().join(format!("{}.out", self.starts));
        eventually("the server is ready", START, async || {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                panic!("the server ended with {status}: {}", self.log());
            }
            let text = read(&printed);
            let address = text.split_once("http://")?.1.split('/').next()?.to_owned();
            self.address = address;
            let ready = self.api().request(reqwest::Method::GET, "~/readyz").send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.data.starts_with(self.scratch.path()) {
            forget(&self.data);
        }
        if std::thread::panicking() {
            for start in 1..=self.starts {
                let log = read(&self.scratch.path().join(format!("{start}.err")));
                let tail: Vec<&str> = log.lines().rev().take(40).collect();
                eprintln!("the server's log, start {start}:");
                tail.iter().rev().for_each(|line| eprintln!("  {line}"));
            }
        }
    }
}

fn spawn(setup: &Setup, scratch: &Path, address: &str, start: usize) -> Child {
    setup
        .command(scratch, address)
        .stdout(file(&scratch.join(format!("{start}.out"))))
        .stderr(file(&scratch.join(format!("{start}.err"))))
        .spawn()
        .expect("the program starts")
}

async fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = tokio::time::Instant::now() + STOP;
    eventually("the process ends", STOP * 2, async || {
        let status = child.try_wait().expect("a child can be asked");
        (status.is_some() || tokio::time::Instant::now() > end).then_some(status)
    })
    .await
}

fn file(path: &Path) -> File {
    File::create(path).expect("a file in a temporary directory")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}
