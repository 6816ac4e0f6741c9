//! Jobs a second through PostgreSQL: each is enqueued durably before its client enqueues the next, and done
//! when that is durable. Beside apalis-postgres on the same server, in turns, and a Gearman server without
//! persistence.

#[path = "notes/mod.rs"]
mod notes;
#[path = "report/mod.rs"]
mod report;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use notes::Notes;
use report::{Bar, Report, has_argument, progress};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tripod::error::BoxError;
use tripod::id::Shard;
use tripod::queue::{JobRun, Queue, Registry, Run, Worker};
use tripod::shard::Shards;
use tripod::{Job, config};
use tripod_tests::servers::{Gearman, Postgres};

/// Clients that enqueue at once.
const CLIENTS: usize = 64;
/// Jobs that run at once; and as many does apalis fetch.
const WORKERS: usize = 100;
/// What apalis fetches if it is not told.
const APALIS_DEFAULT: usize = 10;
const ROUNDS: usize = 3;
const BAR: Bar = Bar::RatioAtLeast(2.0);

/// Counts itself.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "count")]
struct Count {
    number: usize,
}

impl Run<Arc<AtomicUsize>> for Count {
    async fn run(&mut self, counted: &Arc<AtomicUsize>, _: &JobRun) -> Result<(), BoxError> {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// What a round took, in seconds.
#[derive(Clone, Copy, Debug)]
struct Took {
    enqueue: f64,
    run: f64,
}

impl Took {
    /// Jobs a second: enqueued, run, and both.
    fn rates(self, jobs: usize) -> [f64; 3] {
        [self.enqueue, self.run, self.enqueue + self.run].map(|seconds| jobs as f64 / seconds)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let jobs = if has_argument("--full") { 50_000 } else { 5_000 };
    progress("building the peer");
    let apalis = build_apalis()?;
    let notes = Notes::start(1).await;
    let gearman = Gearman::start().await;
    let mut rounds: [Vec<[f64; 3]>; 5] = std::array::from_fn(|_| Vec::new());
    for round in 1..=ROUNDS {
        let tripod = Tripod::new(&notes.shards);
        let took = [
            tripod.round(jobs, true).await?,
            tripod.round(jobs, false).await?,
            run_apalis(&apalis, &notes.server, jobs, WORKERS).await?,
            run_apalis(&apalis, &notes.server, jobs, APALIS_DEFAULT).await?,
            run_gearman(&gearman, jobs).await?,
        ];
        for (rounds, took) in rounds.iter_mut().zip(took) {
            rounds.push(took.rates(jobs));
        }
        let both = rounds.each_ref().map(|rounds| rounds[round - 1][2]);
        progress(&format!(
            "round {round} of {ROUNDS}, jobs a second: {:.0}, {:.0} with a transaction each; \
             apalis {:.0}, in tens {:.0}; gearmand {:.0}",
            both[0], both[1], both[2], both[3], both[4]
        ));
    }
    let [together, alone, batches, tens, memory] = rounds;
    let mut report = Report::new();
    let column = |rounds: &[[f64; 3]], at: usize| rounds.iter().map(|rates| rates[at]).collect::<Vec<_>>();
    for (at, what) in ["enqueued", "run", "enqueued and run"].into_iter().enumerate() {
        let bar = (at == 2).then_some(BAR);
        let (ours, unit) = (column(&together, at), "jobs/s");
        let hundreds = format!("apalis-postgres in batches of {WORKERS}");
        report.rounds(what, (&ours, unit), (hundreds, &column(&batches, at)), bar);
        report.rounds(what, (&ours, unit), ("apalis-postgres as it is", &column(&tens, at)), None);
        report.rounds(what, (&ours, unit), ("gearmand, in memory", &column(&memory, at)), None);
    }
    for (at, what) in ["enqueued by transactions of their own", "run"].into_iter().enumerate() {
        let peer = column(&batches, at);
        report.rounds(what, (&column(&alone, at), "jobs/s"), ("apalis-postgres", &peer), None);
    }
    report.note(format!("{jobs} jobs that do nothing, {CLIENTS} clients, {WORKERS} workers; fsync is on"));
    report.print();
    Ok(())
}

struct Tripod {
    shards: Shards,
    queue: Queue,
    settings: config::Queue,
}

fn registry() -> Registry<Arc<AtomicUsize>> {
    let mut registry = Registry::new();
    registry.register::<Count>();
    registry
}

impl Tripod {
    fn new(shards: &Shards) -> Self {
        let settings = config::Queue { workers: WORKERS as u32, lease_seconds: 30 };
        Self { shards: shards.clone(), queue: Queue::new(shards.clone(), &registry(), &settings), settings }
    }

    /// Enqueues jobs on shards all over the place, together or in transactions of their own, and runs them.
    async fn round(&self, jobs: usize, together: bool) -> Result<Took> {
        let enqueue = async |number: usize| {
            let (shard, job) = (Shard::new((number * 811 % 8_192) as u16)?, Count { number });
            match together {
                true => self.queue.enqueue(shard, job).await,
                false => self.shards.write(shard, move |tx| async move { tx.enqueue(job).await }).await,
            }
        };
        let (begun, next) = (Instant::now(), AtomicUsize::new(0));
        let clients = (0..CLIENTS).map(async |_| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    return anyhow::Ok(());
                }
                enqueue(number).await?;
            }
        });
        try_join_all(clients).await?;
        let enqueued = begun.elapsed();

        let (begun, stop, counted) = (Instant::now(), CancellationToken::new(), Arc::default());
        let worker = Worker::new(self.queue.clone(), registry(), Arc::clone(&counted), &self.settings);
        let working = tokio::spawn(worker.run(stop.clone()));
        while !self.queue.waiting().await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let run = begun.elapsed();
        stop.cancel();
        working.await?;
        ensure!(counted.load(Ordering::Relaxed) == jobs, "{counted:?} runs of {jobs} jobs");
        Ok(Took { enqueue: enqueued.as_secs_f64(), run: run.as_secs_f64() })
    }
}

/// Builds the peer, a package of its own, and returns its program.
fn build_apalis() -> Result<PathBuf> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/apalis/Cargo.toml");
    let target = tripod_tests::target().join("peers");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    build.args(["build", "--quiet", "--release", "--locked", "--manifest-path"]).arg(&manifest);
    let status = build.arg("--target-dir").arg(&target).status().context("cargo can't be run")?;
    ensure!(status.success(), "{} can't be built", manifest.display());
    Ok(target.join("release/apalis-peer"))
}

/// A round of the peer in a database of its own.
async fn run_apalis(program: &Path, server: &Postgres, jobs: usize, batch: usize) -> Result<Took> {
    static DATABASES: AtomicUsize = AtomicUsize::new(0);
    let database = format!("apalis_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    server.create_database(&database).await;
    let numbers = [jobs, CLIENTS, batch].map(|number| number.to_string());
    let peer = tokio::process::Command::new(program).arg(server.url(&database)).args(numbers).output();
    let output = peer.await.context("the peer can't be run")?;
    ensure!(output.status.success(), "the peer: {}", String::from_utf8_lossy(&output.stderr));
    let seconds: Vec<f64> =
        String::from_utf8(output.stdout)?.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let [enqueue, run] = seconds[..] else { anyhow::bail!("the peer prints {seconds:?}") };
    Ok(Took { enqueue, run })
}

/// Gearman's packets, by their numbers in its protocol.
mod packet {
    pub const CAN_DO: u32 = 1;
    pub const JOB_CREATED: u32 = 8;
    pub const GRAB_JOB: u32 = 9;
    pub const NO_JOB: u32 = 10;
    pub const JOB_ASSIGN: u32 = 11;
    pub const WORK_COMPLETE: u32 = 13;
    pub const SUBMIT_JOB_BG: u32 = 18;
}

struct GearmanConnection(TcpStream);

impl GearmanConnection {
    async fn send(&mut self, kind: u32, data: &[u8]) -> Result<()> {
        let mut request = b"\0REQ".to_vec();
        request.extend(kind.to_be_bytes());
        request.extend((data.len() as u32).to_be_bytes());
        request.extend(data);
        Ok(self.0.write_all(&request).await?)
    }

    async fn receive(&mut self) -> Result<(u32, Vec<u8>)> {
        let mut head = [0; 12];
        self.0.read_exact(&mut head).await?;
        let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let mut data = vec![0; number(8) as usize];
        self.0.read_exact(&mut data).await?;
        Ok((number(4), data))
    }
}

/// As many connections submit background jobs, and then grab and complete them, as the others have clients.
async fn run_gearman(server: &Gearman, jobs: usize) -> Result<Took> {
    let (begun, next) = (Instant::now(), AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(async |_| {
        let mut connection = connect(server).await?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= jobs {
                return anyhow::Ok(());
            }
            let job = format!("count\0{number}\0{{\"number\":{number}}}");
            connection.send(packet::SUBMIT_JOB_BG, job.as_bytes()).await?;
            let (kind, _) = connection.receive().await?;
            ensure!(kind == packet::JOB_CREATED, "gearmand replies {kind} to a job");
        }
    });
    try_join_all(clients).await?;
    let enqueued = begun.elapsed();
    let (begun, counted) = (Instant::now(), AtomicUsize::new(0));
    let workers = (0..CLIENTS).map(async |_| {
        let mut connection = connect(server).await?;
        connection.send(packet::CAN_DO, b"count").await?;
        loop {
            connection.send(packet::GRAB_JOB, b"").await?;
            let (kind, data) = connection.receive().await?;
            if kind == packet::NO_JOB {
                return anyhow::Ok(());
            }
            ensure!(kind == packet::JOB_ASSIGN, "gearmand replies {kind} to a worker");
            counted.fetch_add(1, Ordering::Relaxed);
            let handle = data.split(|byte| *byte == 0).next().context("a job has a handle")?;
            connection.send(packet::WORK_COMPLETE, &[handle, b"\0"].concat()).await?;
        }
    });
    try_join_all(workers).await?;
    let run = begun.elapsed();
    ensure!(counted.load(Ordering::Relaxed) == jobs, "{counted:?} runs of {jobs} jobs");
    Ok(Took { enqueue: enqueued.as_secs_f64(), run: run.as_secs_f64() })
}

async fn connect(server: &Gearman) -> Result<GearmanConnection> {
    let stream = TcpStream::connect(server.address()).await?;
    stream.set_nodelay(true)?;
    Ok(GearmanConnection(stream))
}
