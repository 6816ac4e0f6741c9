//! A server's process: it can't outlive the process that started it, and stops when dropped.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::{Duration, Instant};

use super::PATIENCE;
use super::place::{User, free_port};
use crate::eventually;

/// How often a start is repeated because the port was taken meanwhile.
const ATTEMPTS: usize = 10;
/// How long a dropped server may take to stop before it is killed.
const DROP: Duration = Duration::from_secs(10);

/// How a server is started.
pub(super) struct Program<'a> {
    pub(super) path: &'a Path,
    pub(super) user: Option<User>,
    /// The signal that ends it at once but cleanly, without waiting for clients.
    pub(super) end: &'static str,
    /// Its working directory.
    pub(super) directory: &'a Path,
    /// A log line that shows that it accepts connections.
    pub(super) ready: &'a str,
}

/// A running server.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    end: &'static str,
    log: PathBuf,
    paused: bool,
}

/// A server that ended before it was ready.
#[derive(Debug)]
pub(super) struct Ended {
    status: ExitStatus,
    log: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it ended with {}: {}", self.status, self.log)
    }
}

impl Program<'_> {
    /// Starts it and waits until it is ready.
    pub(super) async fn start<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<Process, Ended> {
        let log = self.directory.join("log");
        let file = std::fs::File::create(&log).expect("a file in a temporary directory");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", self.end]);
        if let Some(user) = self.user {
            let (uid, gid) = (user.uid.to_string(), user.gid.to_string());
            command.args(["--reuid", &uid, "--regid", &gid, "--clear-groups"]);
        }
        command
            .arg("--")
            .arg(self.path)
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C")
            .current_dir(self.directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file);
        let child = spawn(command);
        let mut process = Process { child, end: self.end, log, paused: false };
        eventually("the server is ready", PATIENCE, async || {
            if let Some(status) = process.status() {
                return Some(Err(Ended { status, log: process.log() }));
            }
            process.log().contains(self.ready).then_some(Ok(()))
        })
        .await?;
        Ok(process)
    }
}

/// Starts a server on a free port, and on another one if the port was taken first.
///
/// # Panics
/// If it does not start.
pub(super) async fn on_a_free_port<T>(start: impl AsyncFn(u16) -> Result<T, Ended>) -> (u16, T) {
    for _ in 0..ATTEMPTS {
        let port = free_port();
        match start(port).await {
            Ok(started) => return (port, started),
            Err(ended) if ended.log.contains("in use") => {}
            Err(ended) => panic!("{ended}"),
        }
    }
    panic!("{ATTEMPTS} ports were taken just before the server started")
}

/// Spawns from a thread that lives as long as this process: `setpriv --pdeathsig` is bound to the
/// thread, and the threads of tests and runtimes end earlier.
fn spawn(command: Command) -> Child {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (spawner, orders) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, reply) in orders {
                let _ = reply.send(command.spawn());
            }
        });
        spawner
    });
    let (reply, child) = mpsc::channel();
    spawner.send((command, reply)).expect("the thread that spawns lives");
    child.recv().expect("the thread that spawns replies").expect("setpriv can be run")
}

impl Process {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its log since the start.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// The ids of the process and its children.
    fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.pid()];
        pids.extend(children(self.pid()));
        pids
    }

    /// Sends a signal and waits until the process has ended.
    ///
    /// # Panics
    /// If it does not end.
    pub(super) async fn stop(mut self, signal: &str) {
        self.resume();
        send(signal, &[self.pid()]);
        eventually("the server stops", PATIENCE, async || self.status()).await;
    }

    /// Stops it and its children: connections stay open, without responses.
    pub(super) fn pause(&mut self) {
        self.paused = true;
        // The parent first, so that it can't start more children than those found afterwards.
        send("STOP", &[self.pid()]);
        send("STOP", &children(self.pid()));
    }

    /// Continues it.
    pub(super) fn resume(&mut self) {
        if std::mem::take(&mut self.paused) {
            send("CONT", &self.pids());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status().is_none() {
            self.resume();
            send(self.end, &[self.pid()]);
            let end = Instant::now() + DROP;
            while self.status().is_none() {
                if Instant::now() > end {
                    let _ = self.child.kill();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!("the log of {}:", self.log.display());
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Sends a signal to these processes; ended ones are ignored.
fn send(signal: &str, pids: &[u32]) {
    if !pids.is_empty() {
        let pids = pids.iter().map(u32::to_string);
        let sent = Command::new("kill").arg(format!("-{signal}")).args(pids).stderr(Stdio::null()).status();
        sent.expect("kill can be run");
    }
}

/// The child processes of a process.
fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    processes
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // The preceding name may contain anything, including spaces; the state and the parent follow
            // it.
            let of = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
            (of == parent.to_string()).then_some(pid)
        })
        .collect()
}
