//! Standard error and standard output that can't be written: the service goes on, counts what it
//! drops, and ends when told to.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tripod_tests::{Api, Person, Setup, eventually};

use crate::SOON;

/// Far less than the drain time.
const END: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, PartialEq)]
enum Stream {
    Stderr,
    Stdout,
}

/// Opens a disk that is full.
fn full_disk() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// Opens a pipe that nobody reads, with its other end.
fn pipe() -> (PipeReader, Stdio) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader, writer.into())
}

/// Opens a pipe whose reader has died.
fn broken_pipe() -> Stdio {
    let (reader, sink) = pipe();
    drop(reader);
    sink
}

struct Service {
    child: Child,
    api: Api,
    _directory: tempfile::TempDir,
}

impl Service {
    /// Starts the program, which logs everything, with one stream at `sink`.
    async fn start(stream: Stream, sink: Stdio) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // The program can't say which port it got.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Setup::embedded().set("TRIPOD_LOG", "trace").command(directory.path(), &free);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        match stream {
            Stream::Stderr => command.stderr(sink),
            Stream::Stdout => command.stdout(sink),
        };
        let child = command.spawn().unwrap();
        let api = Api::new(format!("http://{free}"));
        eventually("it is ready", SOON, async || {
            let ready = api.request(reqwest::Method::GET, "~/readyz").send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
        Self { child, api, _directory: directory }
    }

    async fn serves(&self) {
        let person = Person::sign_up(&self.api, "writer").await;
        for n in 0..20 {
            person.post_photo(&format!("photo {n}")).await;
            self.api.get("~/healthz").await.expect(200);
        }
        assert_eq!(person.feed().await.len(), 20);
    }

    /// Makes requests until it has dropped a line: a pipe and the queue hold many.
    async fn drops(&self) -> u64 {
        eventually("lines are dropped", SOON, async || {
            for _ in 0..100 {
                self.api.get("~/healthz").await.expect(200);
            }
            Some(self.dropped().await).filter(|dropped| *dropped > 0)
        })
        .await
    }

    /// How many lines it has dropped.
    async fn dropped(&self) -> u64 {
        let metrics = self.api.get("~/metrics").await;
        let text = String::from_utf8(metrics.bytes).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("tripod_log_dropped_lines_total "));
        line.unwrap_or_else(|| panic!("no count in {text}")).parse().unwrap()
    }

    async fn ends(mut self) {
        let began = Instant::now();
        let sent = std::process::Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let ended = eventually("it ends", END, async || self.child.try_wait().unwrap()).await;
        assert!(ended.success(), "{ended}");
        println!("ended {:?} after SIGTERM", began.elapsed());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn goes_on(stream: Stream, sink: Stdio) {
    let service = Service::start(stream, sink).await;
    service.serves().await;
    match stream {
        Stream::Stderr => println!("{} lines dropped", service.drops().await),
        Stream::Stdout => assert_eq!(service.dropped().await, 0),
    }
    service.ends().await;
}

#[tokio::test]
async fn a_log_on_a_full_disk_stops_nothing() {
    goes_on(Stream::Stderr, full_disk()).await;
}

#[tokio::test]
async fn a_log_whose_reader_died_stops_nothing() {
    goes_on(Stream::Stderr, broken_pipe()).await;
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_nothing() {
    let (_reader, sink) = pipe();
    goes_on(Stream::Stderr, sink).await;
}

#[tokio::test]
async fn dropped_lines_are_logged_when_the_log_is_read_again() {
    let (reader, sink) = pipe();
    let service = Service::start(Stream::Stderr, sink).await;
    let dropped = service.drops().await;
    let read = tokio::task::spawn_blocking(|| {
        let lines = BufReader::new(reader).lines().map(Result::unwrap);
        let mut reports = lines.filter(|line| line.contains("log lines were dropped"));
        reports.next().unwrap()
    });
    let report = tokio::time::timeout(SOON, read).await.expect("it is reported").unwrap();
    println!("{report}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["fields"]["dropped"].as_u64() >= Some(dropped), "{report}");
    service.ends().await;
}

#[tokio::test]
async fn standard_output_that_cannot_be_written_stops_nothing() {
    goes_on(Stream::Stdout, full_disk()).await;
    goes_on(Stream::Stdout, broken_pipe()).await;
    // A pipe that is already full.
    let (_reader, writer) = std::io::pipe().unwrap();
    let filler = writer.try_clone().unwrap();
    std::thread::spawn(move || std::io::copy(&mut std::io::repeat(b'x'), &mut &filler));
    goes_on(Stream::Stdout, writer.into()).await;
}

#[tokio::test]
async fn a_command_whose_reader_died_says_so_in_its_status() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Setup::embedded().command(directory.path(), "127.0.0.1:0");
    let status = command.arg("settings").stdout(broken_pipe()).stderr(full_disk()).status().unwrap();
    assert_eq!(status.code(), Some(1));
    let mut command = Setup::embedded().set("TRIPOD_LISTN", "x").command(directory.path(), "127.0.0.1:0");
    let status = command.stdout(broken_pipe()).stderr(broken_pipe()).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
