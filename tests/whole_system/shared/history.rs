//! The cache never returns an outdated value: processes read and write the same keys while the network
//! between them and Redis, and Redis itself, fail ([`faults`]). A checker that knows each key's history
//! compares every read with it.
//!
//! Writers record a key's history: when each version began, and when it was published. It is published
//! once its write has returned and, if Redis was unreachable, its process has published the invalidation
//! since. A read may return any version that began before the read ended, but none older than the last
//! version published at least 100 ms before the read began.

mod faults;

use std::sync::Mutex as Locked;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Mutex, RwLock};
use tripod::conformance::{CacheFixture, Note, Stores};
use tripod::id::{Clock, Id};
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::{Proxy, Redis, RedisCluster, Sentinel};

use super::failover::Servers;
use super::seed;
use faults::{Failing, Failover, Networks};

/// The maximum age of a returned value.
const BOUND: Duration = Duration::from_millis(100);
const KEYS: usize = 6;
/// Faults per round.
const TOGETHER: usize = 2;
/// Tasks per process; each performs its steps in sequence until the faults of a round are over.
const TASKS: usize = 4;
/// The pause between two steps of a task; otherwise the steps would end before anything can fail.
const PACE: Duration = Duration::from_millis(1);

/// A key, and its recorded history.
struct Key {
    note: Id<Note>,
    /// One writer at a time, so that versions have an order.
    version: Mutex<usize>,
    history: Locked<Vec<Version>>,
}

#[derive(Clone, Copy)]
struct Version {
    begun: Instant,
    published: Option<Instant>,
}

struct Process {
    stores: Stores,
    texts: CacheFixture,
}

impl Process {
    /// A process with this version of the program, and Redis at this address.
    async fn start(first: &Stores, redis: &str, version: u64) -> Self {
        let stores = first.reopened_through(redis).await;
        let texts = CacheFixture::of_version(&stores, version);
        Self { stores, texts }
    }
}

#[derive(Default)]
struct Counts {
    reads: AtomicUsize,
    writes: AtomicUsize,
    deaths: AtomicUsize,
    behind: AtomicUsize,
}

impl Key {
    fn begin(&self, version: usize) {
        let mut history = self.history.lock().unwrap();
        assert_eq!(history.len(), version);
        history.push(Version { begun: Instant::now(), published: None });
    }

    fn published(&self, version: usize) {
        self.history.lock().unwrap()[version].published = Some(Instant::now());
    }

    /// Checks a read of this version, which began and ended at these times.
    fn check(&self, version: usize, begun: Instant, ended: Instant, counts: &Counts) -> Result<(), String> {
        let history = self.history.lock().unwrap();
        let Some(read) = history.get(version).filter(|read| read.begun <= ended) else {
            return Err(format!("version {version} was read and never written"));
        };
        let is_newer = |other: &Version| other.published.is_some_and(|at| at + BOUND <= begun);
        if let Some((newer, at)) =
            history.iter().enumerate().skip(version + 1).find(|(_, other)| is_newer(other))
        {
            return Err(format!(
                "version {version}, begun {:?} before, was read {:?} after version {newer} was published",
                begun - read.begun,
                begun - at.published.unwrap_or(begun)
            ));
        }
        let behind =
            history.len() > version + 1 && history[version + 1].published.is_some_and(|at| at <= begun);
        counts.behind.fetch_add(usize::from(behind), Relaxed);
        Ok(())
    }
}

async fn read(process: &Process, key: &Key, counts: &Counts, what: &str) {
    let begun = Instant::now();
    let text = process.texts.text(key.note).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let ended = Instant::now();
    let version = text.expect("the note is there").parse().expect("a version");
    counts.reads.fetch_add(1, Relaxed);
    if let Err(anomaly) = key.check(version, begun, ended, counts) {
        panic!("{what}: {anomaly}");
    }
}

async fn write(process: &Process, key: &Key, counts: &Counts) {
    let mut version = key.version.lock().await;
    *version += 1;
    key.begin(*version);
    process.texts.write(key.note, &version.to_string()).await.unwrap();
    let cache = process.stores.shards.cache();
    eventually("a change is published", async || (!cache.has_pending_invalidations()).then_some(())).await;
    key.published(*version);
    counts.writes.fetch_add(1, Relaxed);
}

/// A process dies after its write has committed.
async fn write_and_die(process: &Process, key: &Key, counts: &Counts) {
    let mut version = key.version.lock().await;
    *version += 1;
    key.begin(*version);
    process.texts.write_and_die(key.note, &version.to_string()).await.unwrap();
    key.published(*version);
    counts.deaths.fetch_add(1, Relaxed);
}

/// The program versions of the processes; the last process runs the next version.
const VERSIONS: [u64; 4] = [1, 1, 1, 2];

/// Lets processes read and write during this many faults, one after another.
async fn check(first: &Stores, processes: &[Process], mut failing: impl Failing, faults: usize) -> Counts {
    let mut dice = StdRng::seed_from_u64(seed());
    let author = first.author("author").await;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        let note = first.note(author, "0").await;
        let now = Instant::now();
        let history = Locked::new(vec![Version { begun: now, published: Some(now) }]);
        keys.push(Key { note, version: Mutex::new(0), history });
    }
    let (counts, whole) = (Counts::default(), RwLock::new(()));
    for round in 0..faults.div_ceil(TOGETHER) {
        let seeds: Vec<u64> = (0..processes.len() * TASKS).map(|_| dice.random()).collect();
        let over = AtomicBool::new(false);
        let going_on = futures::future::join_all(seeds.into_iter().enumerate().map(async |(task, seed)| {
            let (process, mut dice) = (&processes[task % processes.len()], StdRng::seed_from_u64(seed));
            while !over.load(Relaxed) {
                tokio::time::sleep(PACE).await;
                let key = &keys[dice.random_range(0..KEYS)];
                match dice.random_range(0..200) {
                    0..6 => write(process, key, &counts).await,
                    6..8 => {
                        // Two simultaneous faults exceed what is promised: the network is intact
                        // meanwhile.
                        if let Ok(_whole) = whole.try_read()
                            && process.stores.shards.cache().is_coherent()
                        {
                            write_and_die(process, key, &counts).await;
                        }
                    }
                    _ => {
                        let who = task % processes.len();
                        read(process, key, &counts, &format!("round {round}, process {who}")).await;
                    }
                }
            }
        }));
        let one_by_one = async {
            for _ in 0..TOGETHER.min(faults - round * TOGETHER) {
                tokio::time::sleep(Duration::from_millis(dice.random_range(5..120))).await;
                let _broken = whole.write().await;
                failing.fail(&mut dice, processes).await;
            }
            over.store(true, Relaxed);
        };
        futures::future::join(going_on, one_by_one).await;
    }
    let get = |counter: &AtomicUsize| counter.load(Relaxed);
    println!(
        "{} reads, {} writes, {} writers who died, {faults} faults: 0 anomalies; {} reads were up to 100 ms behind",
        get(&counts.reads),
        get(&counts.writes),
        get(&counts.deaths),
        get(&counts.behind)
    );
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_is_what_was_so_a_moment_ago() {
    let faults = if std::env::var_os("FULL").is_some() { 320 } else { 32 };
    let redis = Redis::start().await;
    let first = Stores::at(Backing::embedded().with_redis(&redis.url()), Clock::system()).await;
    let (mut processes, mut networks) = (Vec::new(), Vec::new());
    for version in VERSIONS {
        let network = Proxy::to(&redis.address()).await;
        processes.push(Process::start(&first, &format!("redis://{}", network.address()), version).await);
        networks.push(network);
    }
    let counts = check(&first, &processes, Networks { redis, networks }, faults).await;
    let get = |counter: &AtomicUsize| counter.load(Relaxed);
    assert!(get(&counts.reads) > 1_000 && get(&counts.writes) > 50 && get(&counts.deaths) > 5);
}

/// The same, while servers are lost and replaced.
async fn while_failing_over(servers: impl Servers, faults: usize) {
    let first = Stores::at(Backing::embedded().with_redis(&servers.url()), Clock::system()).await;
    let mut processes = Vec::new();
    for version in VERSIONS {
        processes.push(Process::start(&first, &servers.url(), version).await);
    }
    let counts = check(&first, &processes, Failover(servers), faults).await;
    assert!(counts.reads.into_inner() > 300 && counts.writes.into_inner() > 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_is_what_was_so_while_a_cluster_loses_its_masters() {
    // Each of its masters has one replica.
    while_failing_over(RedisCluster::start_with_replicas().await, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_is_what_was_so_while_sentinels_choose_another_server() {
    while_failing_over(Sentinel::start().await, 3).await;
}
