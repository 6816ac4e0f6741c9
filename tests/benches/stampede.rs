//! Ten thousand who miss the same key at once, in four processes: how often is it loaded? With the
//! cache, with its lease's holder killed, with bare moka, and with the `cached` crate.
//!
//! The processes are this program once more; a load takes 50 ms and counts itself in Redis.

mod report;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cached::macros::cached;
use redis::aio::MultiplexedConnection;
use report::{Bar, Report, progress};
use tripod::cache::{Batch, Cache, Region, RegionConfig};
use tripod::config;
use tripod::id::Clock;
use tripod::telemetry::Metrics;
use tripod_tests::servers::Redis;

const PROCESSES: usize = 4;
const MISSES: usize = 10_000;
const LOAD: Duration = Duration::from_millis(50);
/// Where loads count themselves.
const LOADS: &str = "bench:loads";
/// The argument that makes this program one of the processes; how it caches, and Redis follow.
const PROCESS: &str = "--process";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.as_slice() {
        [_, flag, how, url, ..] if flag == PROCESS => runtime.block_on(process(how, url)),
        _ => runtime.block_on(measure()),
    }
}

async fn measure() -> Result<()> {
    let mut report = Report::new();
    let figure = format!("loads for {MISSES} misses of {PROCESSES} processes at once");
    let loads = loads("tripod", false).await?;
    report.alone(format!("{figure} (exactly 1)"), loads, "loads", Some(Bar::ValueAtMost(1.0)));
    let killed = self::loads("tripod", true).await?;
    report.alone(
        format!("{figure}, the lease's holder killed, its load too"),
        killed,
        "loads",
        Some(Bar::ValueAtMost(2.0)),
    );
    report.alone(format!("{figure}, moka's get_with"), self::loads("moka", false).await?, "loads", None);
    report.alone(
        format!("{figure}, cached with sync_writes"),
        self::loads("cached", false).await?,
        "loads",
        None,
    );
    report.alone(format!("{figure}, cached"), self::loads("cached_plain", false).await?, "loads", None);
    report.note(format!("a load takes {} ms", LOAD.as_millis()));
    report.print();
    if loads != 1.0 {
        bail!("{loads} loads instead of one");
    }
    Ok(())
}

/// A process, and the pipes to it.
struct Peer {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(how: &str, url: &str) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args([PROCESS, how, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asks = child.stdin.take().context("its input is piped")?;
        let answers = BufReader::new(child.stdout.take().context("its output is piped")?);
        let mut peer = Self { child, asks, answers };
        peer.wait_for("ready")?;
        Ok(peer)
    }

    fn ask(&mut self, misses: usize) -> Result<()> {
        writeln!(self.asks, "{misses}")?;
        self.asks.flush()?;
        Ok(())
    }

    fn wait_for(&mut self, word: &str) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        if line.trim() != word {
            bail!("a process says {line:?} instead of {word:?}");
        }
        Ok(())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn loads(how: &str, kill: bool) -> Result<f64> {
    progress(&format!("{how}{}", if kill { ", with a loader killed" } else { "" }));
    let redis = Redis::start().await;
    let mut peers: Vec<Peer> =
        (0..PROCESSES).map(|_| Peer::start(how, &redis.url())).collect::<Result<_>>()?;
    if kill {
        let mut holder = Peer::start(how, &redis.url())?;
        holder.ask(1)?;
        while redis.ask::<Option<i64>>(&["GET", LOADS]).await.is_none() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // In the middle of its load.
        drop(holder);
    }
    peers.iter_mut().try_for_each(|peer| peer.ask(MISSES / PROCESSES))?;
    peers.iter_mut().try_for_each(|peer| peer.wait_for("done"))?;
    Ok(redis.ask::<i64>(&["GET", LOADS]).await as f64)
}

/// Answers with "ready", and to each number of misses with "done".
async fn process(how: &str, url: &str) -> Result<()> {
    let connection = redis::Client::open(url)?.get_multiplexed_async_connection().await?;
    let _ = COUNTER.set(connection);
    let cache = Cache::open(
        Some(tripod::redis::Redis::open(url).await?),
        Clock::system(),
        &config::Cache { memory_bytes: 1 << 20, value_bytes: 1 << 10 },
        &Metrics::default(),
    )?;
    let config = RegionConfig { name: "bench".to_owned(), version: 1, ttl: Duration::from_secs(600) };
    let region: Region<String> = Region::new(&cache, config, |ids: Vec<i64>| async move {
        let mut found = Vec::new();
        for id in &ids {
            found.push((*id, load(*id).await));
        }
        vec![Batch { asked: ids, found: Ok(found) }]
    });
    let moka: moka::future::Cache<i64, String> = moka::future::Cache::new(100);
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let misses: usize = line?.trim().parse()?;
        let asking: Vec<_> = (0..misses)
            .map(|_| {
                let (region, moka, how) = (region.clone(), moka.clone(), how.to_owned());
                tokio::spawn(async move {
                    match how.as_str() {
                        "tripod" => region.get(1).await.map(|value| value.is_some()).unwrap_or(false),
                        "moka" => !moka.get_with(1, load(1)).await.is_empty(),
                        "cached" => !together(1).await.is_empty(),
                        _ => !apart(1).await.is_empty(),
                    }
                })
            })
            .collect();
        for asked in asking {
            if !asked.await? {
                bail!("somebody was told nothing");
            }
        }
        println!("done");
    }
    Ok(())
}

static COUNTER: OnceLock<MultiplexedConnection> = OnceLock::new();

async fn load(id: i64) -> String {
    let mut counter = COUNTER.get().expect("the counter is there").clone();
    redis::cmd("INCR").arg(LOADS).query_async::<()>(&mut counter).await.expect("a load counts itself");
    tokio::time::sleep(LOAD).await;
    id.to_string()
}

#[cached(sync_writes = "by_key")]
async fn together(id: i64) -> String {
    load(id).await
}

#[cached]
async fn apart(id: i64) -> String {
    load(id).await
}
