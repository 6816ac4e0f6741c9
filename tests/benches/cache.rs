//! The cache beside what it is made of: a hit in the process beside bare moka, reads of Redis through
//! it beside bare commands on the same kind of connection, and memcached for comparison; how soon a
//! change is heard of by publishing and by Redis' own tracking; and what an entry costs in memory.

mod report;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::StreamExt;
use redis::aio::MultiplexedConnection;
use report::{Bar, Report, median, percentile, progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod::cache::{Batch, Cache, Region, RegionConfig};
use tripod::config;
use tripod::id::Clock;
use tripod::telemetry::Metrics;
use tripod_tests::servers::{Memcached, Redis};

const ROUNDS: usize = 7;
const KEYS: i64 = 10_000;
/// Bytes of a value: about a row of a post.
const VALUE: usize = 300;
/// Tasks that ask at once.
const TASKS: usize = 64;
const WINDOW: Duration = Duration::from_millis(1_200);
/// Hits of a round in the process.
const HITS: usize = 400_000;
const MANY: usize = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let mut report = Report::new();
    hits(&mut report).await?;
    memory(&mut report).await?;
    let redis = Redis::start().await;
    reads(&mut report, &redis).await?;
    servers(&mut report, &redis).await?;
    changes(&mut report, &redis).await?;
    report.note(format!("{KEYS} keys, values of {VALUE} bytes, the middle of {ROUNDS} rounds"));
    report.note(format!("reads of Redis by {TASKS} tasks on one connection, of a server on this machine"));
    report.print();
    Ok(())
}

fn value(id: i64) -> String {
    format!("{id:0>VALUE$}")
}

/// A region whose values are made up.
async fn region(redis: Option<&str>, memory_bytes: u64) -> Result<(Region<String>, Metrics)> {
    let redis = match redis {
        Some(url) => Some(tripod::redis::Redis::open(url).await?),
        None => None,
    };
    let metrics = Metrics::default();
    let settings = config::Cache { memory_bytes, value_bytes: 64 << 10 };
    let cache = Cache::open(redis, Clock::system(), &settings, &metrics)?;
    let config = RegionConfig { name: "bench".to_owned(), version: 1, ttl: Duration::from_secs(3_600) };
    let region = Region::new(&cache, config, |ids: Vec<i64>| async move {
        let found = ids.iter().map(|id| (*id, value(*id))).collect();
        vec![Batch { asked: ids, found: Ok(found) }]
    });
    Ok((region, metrics))
}

/// Ids in an order that no cache of the processor can guess; the same in every run.
fn next(id: i64) -> i64 {
    // A full period: every prime factor of KEYS, and 4, divides the multiplier less one (Hull and Dobell, 1962).
    (id * 4_021 + 2_347) % KEYS
}

async fn hits(report: &mut Report) -> Result<()> {
    progress("hits in the process");
    let (region, _) = region(None, 256 << 20).await?;
    let bare: moka::sync::Cache<i64, Arc<String>> = moka::sync::Cache::new(KEYS as u64 * 10);
    for id in 0..KEYS {
        region.get(id).await?;
        bare.insert(id, Arc::new(value(id)));
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (start, mut id) = (Instant::now(), 0);
        for _ in 0..HITS {
            id = next(id);
            black_box(region.get(id).await?);
        }
        ours.push(nanoseconds(start));
        let (start, mut id) = (Instant::now(), 0);
        for _ in 0..HITS {
            id = next(id);
            black_box(bare.get(&id));
        }
        theirs.push(nanoseconds(start));
    }
    report.rounds("first-level hit", (&ours, "ns"), ("bare moka", &theirs), Some(Bar::RatioAtMost(1.5)));
    Ok(())
}

fn nanoseconds(start: Instant) -> f64 {
    start.elapsed().as_nanos() as f64 / HITS as f64
}

/// What the process grows by, beside what the entries are reckoned at.
async fn memory(report: &mut Report) -> Result<()> {
    progress("memory of the entries");
    const ENTRIES: i64 = 200_000;
    let (region, metrics) = region(None, 1 << 30).await?;
    let before = resident_bytes()?;
    for id in 0..ENTRIES {
        region.get(id).await?;
    }
    let grown = resident_bytes()?.saturating_sub(before) as f64 / ENTRIES as f64;
    let text = metrics.text()?;
    let line = text.lines().find_map(|line| line.strip_prefix("tripod_cache_bytes{region=\"bench\"} "));
    let reckoned: f64 = line.context("the figures name the bytes")?.parse()?;
    report.beside(
        format!("memory of an entry of {VALUE} bytes"),
        (grown, "bytes"),
        ("what it is reckoned at", reckoned / ENTRIES as f64),
        None,
    );
    Ok(())
}

fn resident_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = line.context("VmRSS")?.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1_024)
}

/// Reads a second by so many tasks.
async fn rate<F: Future<Output = Result<()>> + Send + 'static>(
    window: Duration,
    read: impl Fn(i64) -> F + Clone + Send + 'static,
) -> Result<f64> {
    let start = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let read = read.clone();
            tokio::spawn(async move {
                let (mut id, mut reads) = (task as i64 * 131, 0_u64);
                while start.elapsed() < window {
                    id = next(id);
                    read(id).await?;
                    reads += 1;
                }
                anyhow::Ok(reads)
            })
        })
        .collect();
    let mut reads = 0;
    for task in tasks {
        reads += task.await??;
    }
    Ok(reads as f64 / start.elapsed().as_secs_f64())
}

async fn reads(report: &mut Report, redis: &Redis) -> Result<()> {
    progress("reads of Redis");
    // Nothing fits into the first level: each read asks Redis.
    let (region, _) = region(Some(&redis.url()), 0).await?;
    for first in (0..KEYS).step_by(MANY) {
        region.get_many(&(first..first + MANY as i64).collect::<Vec<_>>()).await?;
    }
    let client = redis::Client::open(redis.url())?;
    let connection = client.get_multiplexed_async_connection().await?;
    let key = |id: i64| format!("c:bench.1:{id}");
    let stored: Option<Vec<u8>> = redis::cmd("GET").arg(key(7)).query_async(&mut connection.clone()).await?;
    ensure!(stored.is_some_and(|stored| stored.len() > VALUE), "the values are in Redis");
    let (mut ours, mut theirs, mut ours_many, mut theirs_many) = (vec![], vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        let one = region.clone();
        ours.push(
            rate(WINDOW, move |id| {
                let region = one.clone();
                async move {
                    black_box(region.get(id).await?);
                    Ok(())
                }
            })
            .await?,
        );
        let bare = connection.clone();
        theirs.push(
            rate(WINDOW, move |id| {
                let mut bare = bare.clone();
                async move {
                    let found: Option<Vec<u8>> =
                        redis::cmd("GET").arg(key(id)).query_async(&mut bare).await?;
                    black_box(found);
                    Ok(())
                }
            })
            .await?,
        );
        let many = region.clone();
        ours_many.push(
            rate(WINDOW, move |id| {
                let region = many.clone();
                async move {
                    let ids: Vec<i64> = (0..MANY as i64).map(|n| (id + n) % KEYS).collect();
                    black_box(region.get_many(&ids).await?);
                    Ok(())
                }
            })
            .await?,
        );
        let bare = connection.clone();
        theirs_many.push(
            rate(WINDOW, move |id| {
                let mut bare = bare.clone();
                async move {
                    let keys: Vec<String> = (0..MANY as i64).map(|n| key((id + n) % KEYS)).collect();
                    let found: Vec<Option<Vec<u8>>> =
                        redis::cmd("MGET").arg(keys).query_async(&mut bare).await?;
                    black_box(found);
                    Ok(())
                }
            })
            .await?,
        );
        progress(&format!("round {round} of {ROUNDS}: {:.0} reads/s", ours[round - 1]));
    }
    let bar = Some(Bar::RatioAtLeast(0.8));
    report.rounds("second-level read", (&ours, "reads/s"), ("a bare GET", &theirs), bar);
    report.rounds("second-level read of 100", (&ours_many, "reads/s"), ("a bare MGET", &theirs_many), bar);
    Ok(())
}

/// Redis and memcached, each asked by the same client: a connection a task, one request at a time.
async fn servers(report: &mut Report, redis: &Redis) -> Result<()> {
    progress("Redis and memcached");
    let memcached = Memcached::start().await;
    let mut fill = TcpStream::connect(memcached.address()).await?;
    for id in 0..KEYS {
        let set = format!("set c:bench.1:{id} 0 0 {VALUE}\r\n{}\r\n", value(id));
        fill.write_all(set.as_bytes()).await?;
        let mut stored = [0; 8];
        fill.read_exact(&mut stored).await?;
        ensure!(&stored == b"STORED\r\n", "memcached stores");
    }
    let of_redis = |id: i64| {
        let key = format!("c:bench.1:{id}");
        format!("*2\r\n$3\r\nGET\r\n${}\r\n{key}\r\n", key.len())
    };
    let of_memcached = |id: i64| format!("get c:bench.1:{id}\r\n");
    let (mut of, mut against) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // A bulk string ends in a line break of its own, a value of memcached's in END.
        of.push(raw_rate(&redis.address(), of_redis, b"\r\n", VALUE).await?);
        against.push(raw_rate(&memcached.address(), of_memcached, b"END\r\n", VALUE).await?);
    }
    report.rounds("Redis, GET on 64 connections", (&of, "reads/s"), ("memcached, get", &against), None);
    Ok(())
}

async fn raw_rate(
    address: &str,
    request: impl Fn(i64) -> String + Copy + Send + 'static,
    end: &'static [u8],
    least: usize,
) -> Result<f64> {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        tasks.push(tokio::spawn(async move {
            let (mut id, mut reads, mut reply) = (task as i64 * 131, 0_u64, Vec::with_capacity(4_096));
            while start.elapsed() < WINDOW {
                id = next(id);
                stream.write_all(request(id).as_bytes()).await?;
                reply.clear();
                while reply.len() < least || !reply.ends_with(end) {
                    ensure!(stream.read_buf(&mut reply).await? > 0, "the server hangs up");
                }
                reads += 1;
            }
            anyhow::Ok(reads)
        }));
    }
    let mut reads = 0;
    for task in tasks {
        reads += task.await??;
    }
    Ok(reads as f64 / start.elapsed().as_secs_f64())
}

/// How soon a change is heard of: published, and told by Redis' own tracking.
async fn changes(report: &mut Report, redis: &Redis) -> Result<()> {
    progress("changes heard of");
    const CHANGES: usize = 3_000;
    let client = redis::Client::open(redis.url())?;
    let mut writer = client.get_multiplexed_async_connection().await?;

    let mut listener = client.get_async_pubsub().await?;
    listener.subscribe("bench:changed").await?;
    let mut heard = listener.into_on_message();
    let mut published = Vec::new();
    for n in 0..CHANGES {
        let start = Instant::now();
        let mut change = redis::pipe();
        change.cmd("SET").arg("c:bench.1:1").arg("w").ignore();
        change.cmd("PUBLISH").arg("bench:changed").arg(n).ignore();
        change.query_async::<()>(&mut writer).await?;
        heard.next().await.context("a message")?;
        published.push(start.elapsed().as_secs_f64() * 1e3);
    }

    let (pushes, mut pushed) = tokio::sync::mpsc::unbounded_channel();
    let tracking = redis::Client::open(format!("{}/?protocol=resp3", redis.url()))?;
    let settings = redis::AsyncConnectionConfig::new().set_push_sender(pushes);
    let mut tracked: MultiplexedConnection =
        tracking.get_multiplexed_async_connection_with_config(&settings).await?;
    let mut on = redis::cmd("CLIENT");
    on.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg("c:");
    on.query_async::<()>(&mut tracked).await?;
    let mut told = Vec::new();
    for n in 0..CHANGES {
        let start = Instant::now();
        redis::cmd("SET").arg("c:bench.1:1").arg(n).query_async::<()>(&mut writer).await?;
        pushed.recv().await.context("a push")?;
        told.push(start.elapsed().as_secs_f64() * 1e3);
    }
    // What a process hears while another only fills the cache.
    while pushed.try_recv().is_ok() {}
    for n in 0..1_000 {
        redis::cmd("SET").arg(format!("c:fill:{n}")).arg(n).query_async::<()>(&mut writer).await?;
    }
    let mut fills = 0;
    while tokio::time::timeout(Duration::from_millis(200), pushed.recv()).await.is_ok() {
        fills += 1;
    }
    let tail = |times: &[f64]| percentile(times, 99);
    report.beside(
        "change heard of, p50",
        (median(&published), "ms"),
        ("by tracking (RESP3, BCAST)", median(&told)),
        None,
    );
    report.beside(
        "change heard of, p99",
        (tail(&published), "ms"),
        ("by tracking (RESP3, BCAST)", tail(&told)),
        None,
    );
    report.beside(
        "messages to each process, 1,000 values kept",
        (0.0, "messages"),
        ("by tracking", f64::from(fills)),
        None,
    );
    Ok(())
}
