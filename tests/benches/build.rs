//! What it costs to build and to start: the rebuild after a line has changed, the release
//! program's size, its memory when idle, the time until it is ready, also with demo data from a
//! development build; with `-- --full` also the clean build.
//!
//! The rebuild is made on a copy of the workspace beside the target directory, with a target
//! directory of its own, both kept for the next run; so only the first run builds everything.

mod report;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use report::{Bar, Report, has_argument, median, progress, timed};
use tripod_tests::{Setup, binary};

const REBUILDS: usize = 5;
const STARTS: usize = 15;
/// The file whose handler gets another line, and the end of that handler's head.
const EDITED: &str = "instaclone/src/feed/mod.rs";
const HANDLER: &str = ") -> Result<Json<Page<PostView>>, Problem> {\n";
/// A server that takes longer to be ready than this is broken.
const READY: Duration = Duration::from_secs(60);
const READY_SECONDS: f64 = 1.0;
const DEMOS: usize = 3;
const DEMO_SECONDS: f64 = 30.0;
const MIB: f64 = (1 << 20) as f64;

fn main() -> Result<()> {
    let program = binary();
    let mut report = Report::new();
    starts(&mut report)?;
    let size = fs::metadata(program)?.len() as f64 / MIB;
    report.alone("build, size of the release program", size, "MiB", None);

    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests is in the workspace")?;
    // This program is TARGET/PROFILE/deps/NAME.
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).context("this program is in its profile's deps")?;
    let kept = target.join("bench-build");
    let copy = kept.join("workspace");
    copy_tree(workspace, &copy, &["target", "data", ".git"].map(OsStr::new))?;
    rebuilds(&mut report, &copy, &kept.join("target"))?;
    demos(&mut report, &copy, &kept.join("target"))?;
    if has_argument("--full") {
        progress("building everything in an empty target directory");
        let target = tempfile::tempdir_in(&kept)?;
        let (built, time) = timed(|| build(&copy, target.path()));
        built?;
        report.alone("build, clean, dev", time.as_secs_f64(), "s", None);
    } else {
        report.note("the clean build takes minutes: it is made with -- --full");
    }
    report.print();
    Ok(())
}

/// The time until ready and the memory when idle.
fn starts(report: &mut Report) -> Result<()> {
    let kept = tempfile::tempdir()?;
    let existing = kept.path().join("data");
    drop(Running::start(kept.path(), &existing)?);
    let (mut empty, mut filled, mut idle) = (vec![], vec![], vec![]);
    for start in 1..=STARTS {
        let fresh = tempfile::tempdir()?;
        let running = Running::start(fresh.path(), &fresh.path().join("data"))?;
        empty.push(running.ready.as_secs_f64());
        if start <= 3 {
            idle.push(running.settled_memory()?);
        }
        drop(running);
        filled.push(Running::start(kept.path(), &existing)?.ready.as_secs_f64());
    }
    progress(&format!("started it {} times", 2 * STARTS));
    let bar = Some(Bar::ValueAtMost(READY_SECONDS));
    report.alone("build, ready on an empty data directory", median(&empty), "s", bar);
    report.alone("build, ready on an existing data directory", median(&filled), "s", bar);
    report.alone("build, memory when idle (resident)", median(&idle), "MiB", None);
    Ok(())
}

/// The time from the start of the process to the first 200 of `/readyz`.
struct Running {
    child: Child,
    ready: Duration,
}

impl Running {
    fn start(directory: &Path, data: &Path) -> Result<Self> {
        // The port is free again when the program takes it.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Self::until_ready(Setup::embedded().data(data).command(directory, &address), &address)
    }

    fn until_ready(mut command: Command, address: &str) -> Result<Self> {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut running = Self { child: command.spawn()?, ready: Duration::ZERO };
        while !is_ready(address) {
            if let Some(status) = running.child.try_wait()? {
                bail!("the program ended with {status}");
            }
            ensure!(start.elapsed() < READY, "the program is not ready within {READY:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
        running.ready = start.elapsed();
        Ok(running)
    }

    /// Resident MiB, once they have not changed by a hundredth for two seconds.
    fn settled_memory(&self) -> Result<f64> {
        let end = Instant::now() + READY;
        let (mut since, mut settled) = (Instant::now(), self.memory()?);
        while since.elapsed() < Duration::from_secs(2) {
            ensure!(Instant::now() < end, "the memory does not settle within {READY:?}");
            std::thread::sleep(Duration::from_millis(100));
            let now = self.memory()?;
            if (now - settled).abs() > settled / 100.0 {
                (since, settled) = (Instant::now(), now);
            }
        }
        Ok(settled)
    }

    fn memory(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes: f64 =
            line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?.parse()?;
        Ok(kibibytes / 1024.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(address: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut status = [0; 13];
        stream.read_exact(&mut status)?;
        Ok(&status == b"HTTP/1.1 200 ")
    };
    ask().unwrap_or(false)
}

/// Changes one line of a handler, again and again, and builds.
fn rebuilds(report: &mut Report, copy: &Path, target: &Path) -> Result<()> {
    progress("building the copy of the workspace; minutes at the first run");
    build(copy, target)?;
    let edited = copy.join(EDITED);
    let original = fs::read_to_string(&edited)?;
    let (before, after) = original.split_once(HANDLER).context("the handler to be changed is not there")?;
    let mut times = vec![];
    for round in 1..=REBUILDS {
        fs::write(&edited, format!("{before}{HANDLER}    std::hint::black_box({round});\n{after}"))?;
        let (built, time) = timed(|| build(copy, target));
        built?;
        times.push(time.as_secs_f64());
        progress(&format!("rebuild {round} of {REBUILDS}: {:.1} s", times[round - 1]));
    }
    fs::write(&edited, original)?;
    report.alone("build, again after a line has changed, dev", median(&times), "s", None);
    Ok(())
}

/// From the command to the page, with demo data, on a machine that has everything built.
fn demos(report: &mut Report, copy: &Path, target: &Path) -> Result<()> {
    build(copy, target)?;
    let mut times = vec![];
    for round in 1..=DEMOS {
        let fresh = tempfile::tempdir()?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let mut command = cargo();
        command.args(["run", "--quiet", "--package", "instaclone", "--target-dir"]).arg(target);
        command.args(["--", "--demo"]).current_dir(copy);
        command.env("TRIPOD_LISTEN", &address).env("TRIPOD_DATA_DIR", fresh.path().join("data"));
        times.push(Running::until_ready(command, &address)?.ready.as_secs_f64());
        progress(&format!("demo {round} of {DEMOS}: {:.1} s", times[round - 1]));
    }
    let bar = Some(Bar::ValueAtMost(DEMO_SECONDS));
    report.alone("build, from the command to the page with demo data, dev", median(&times), "s", bar);
    Ok(())
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn build(workspace: &Path, target: &Path) -> Result<()> {
    let status = cargo()
        .args(["build", "--quiet", "--package", "instaclone", "--target-dir"])
        .arg(target)
        .current_dir(workspace)
        .status()?;
    ensure!(status.success(), "the copy of the workspace does not build");
    Ok(())
}

/// Makes `to` the same as `from`, `without` these entries of it. Files that are the same already
/// are left alone: cargo goes by their times.
fn copy_tree(from: &Path, to: &Path, without: &[&OsStr]) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut names = Vec::new();
    for entry in fs::read_dir(from)? {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if without.contains(&name.as_os_str()) || path.is_symlink() {
            continue;
        }
        let into: PathBuf = to.join(&name);
        if path.is_dir() {
            copy_tree(&path, &into, &[])?;
        } else {
            let bytes = fs::read(&path)?;
            if fs::read(&into).ok().as_ref() != Some(&bytes) {
                fs::write(&into, bytes)?;
            }
        }
        names.push(name);
    }
    for entry in fs::read_dir(to)? {
        let entry = entry?;
        if !names.contains(&entry.file_name()) {
            let path = entry.path();
            if path.is_dir() { fs::remove_dir_all(path)? } else { fs::remove_file(path)? }
        }
    }
    Ok(())
}
