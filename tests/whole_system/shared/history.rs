//! The cache never lies: processes read and write the same keys while the network between them and
//! Redis, and Redis itself, fail; a checker that knows each key's history compares every read with it.
//!
//! A key's history is what its writers noted: when each version was begun, and when it counted as
//! told: its write had returned, and where Redis could not be reached its process had told of it
//! since. A read may give any version that was begun before it ended, and none that is older than
//! the last one that counted 100 ms before it began.

use std::sync::Mutex as Locked;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::{Mutex, RwLock};
use tripod::id::{Clock, Id};
use tripod::testing::{Backing, Note, Shelf, Stores, eventually};
use tripod_tests::servers::{Proxy, Redis};

use super::{connected, seed};

/// How old what a process gives may be.
const BOUND: Duration = Duration::from_millis(100);
const KEYS: usize = 6;
const ROUNDS: usize = 16;
/// Of each process: what they do one after the other goes on for as long as a round's faults do.
const TASKS: usize = 4;
/// With it a server that has no replica takes no writes.
const REFUSES: &str = "min-replicas-to-write";
/// Between two steps of a task, or they would be over before anything can fail.
const PACE: Duration = Duration::from_millis(1);

/// A key, and what its writers noted.
struct Key {
    note: Id<Note>,
    /// One writer at a time, so that versions have an order.
    version: Mutex<usize>,
    history: Locked<Vec<Version>>,
}

#[derive(Clone, Copy)]
struct Version {
    begun: Instant,
    told: Option<Instant>,
}

/// A process, and the network between it and Redis.
struct Process {
    stores: Stores,
    shelf: Shelf,
    network: Mutex<Proxy>,
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
        history.push(Version { begun: Instant::now(), told: None });
    }

    fn told(&self, version: usize) {
        self.history.lock().unwrap()[version].told = Some(Instant::now());
    }

    /// Whether a read of this version, begun and ended then, says what was so.
    fn check(&self, version: usize, begun: Instant, ended: Instant, counts: &Counts) -> Result<(), String> {
        let history = self.history.lock().unwrap();
        let Some(read) = history.get(version).filter(|read| read.begun <= ended) else {
            return Err(format!("version {version} was read and never written"));
        };
        let told = |other: &Version| other.told.is_some_and(|told| told + BOUND <= begun);
        if let Some((newer, at)) = history.iter().enumerate().skip(version + 1).find(|(_, other)| told(other))
        {
            return Err(format!(
                "version {version}, begun {:?} before, was read {:?} after version {newer} was told",
                begun - read.begun,
                begun - at.told.unwrap_or(begun)
            ));
        }
        let behind =
            history.len() > version + 1 && history[version + 1].told.is_some_and(|told| told <= begun);
        counts.behind.fetch_add(usize::from(behind), Relaxed);
        Ok(())
    }
}

async fn read(process: &Process, key: &Key, counts: &Counts, what: &str) {
    let begun = Instant::now();
    let text = process.shelf.text(key.note).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
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
    process.shelf.write(key.note, &version.to_string()).await.unwrap();
    let cache = process.stores.shards.cache();
    eventually("a change is told", async || cache.is_told().then_some(())).await;
    key.told(*version);
    counts.writes.fetch_add(1, Relaxed);
}

/// A process dies once its write has committed.
async fn write_and_die(process: &Process, key: &Key, counts: &Counts) {
    let mut version = key.version.lock().await;
    *version += 1;
    key.begin(*version);
    process.shelf.write_and_die(key.note, &version.to_string()).await.unwrap();
    key.told(*version);
    counts.deaths.fetch_add(1, Relaxed);
}

/// What happens to a network or to Redis while a round goes on.
async fn fault(dice: &mut StdRng, processes: &[Process], redis: &Mutex<Redis>) -> &'static str {
    let mut network = processes[dice.random_range(0..processes.len())].network.lock().await;
    match dice.random_range(0..9) {
        0 => {
            network.cut();
            "a network is cut"
        }
        1 => {
            network.hang().await;
            "a network hangs"
        }
        2 => {
            network.refuse().await;
            "a network is down"
        }
        3 => {
            network.delay(Duration::from_millis(dice.random_range(5..250)));
            "a network is slow"
        }
        4 => {
            redis.lock().await.flush().await;
            "Redis is flushed"
        }
        5 => {
            redis.lock().await.restart().await;
            "Redis is restarted"
        }
        6 => {
            let mut redis = redis.lock().await;
            redis.pause();
            tokio::time::sleep(Duration::from_millis(dice.random_range(20..700))).await;
            redis.resume();
            "Redis stands still"
        }
        7 => {
            redis.lock().await.ask::<()>(&["CONFIG", "SET", REFUSES, "1"]).await;
            "Redis refuses writes"
        }
        _ => "nothing",
    }
}

async fn heal(processes: &[Process], redis: &Mutex<Redis>) {
    redis.lock().await.ask::<()>(&["CONFIG", "SET", REFUSES, "0"]).await;
    for process in processes {
        let mut network = process.network.lock().await;
        network.delay(Duration::ZERO);
        network.pass().await;
    }
    let stores: Vec<&Stores> = processes.iter().map(|process| &process.stores).collect();
    connected(&stores).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_read_is_what_was_so_a_moment_ago() {
    let mut dice = StdRng::seed_from_u64(seed());
    let redis = Redis::start().await;
    let first = Stores::at(Backing::embedded().with_redis(&redis.url()), Clock::system()).await;
    let mut processes = Vec::new();
    // The last is of the next version of the program.
    for version in [1, 1, 1, 2] {
        let network = Proxy::to(&redis.address()).await;
        let stores = first.reopened_through(&format!("redis://{}", network.address())).await;
        let shelf = Shelf::of_version(&stores, version);
        processes.push(Process { stores, shelf, network: Mutex::new(network) });
    }
    let author = first.author("author").await;
    let mut keys = Vec::new();
    for _ in 0..KEYS {
        let note = first.note(author, "0").await;
        let now = Instant::now();
        let history = Locked::new(vec![Version { begun: now, told: Some(now) }]);
        keys.push(Key { note, version: Mutex::new(0), history });
    }
    let (redis, counts, whole) = (Mutex::new(redis), Counts::default(), RwLock::new(()));
    for round in 0..ROUNDS {
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
                        // Two faults at once are more than is promised: the network is whole meanwhile.
                        if let Ok(_whole) = whole.try_read()
                            && process.stores.shards.cache().is_believed()
                        {
                            write_and_die(process, key, &counts).await;
                        }
                    }
                    _ => read(process, key, &counts, &format!("round {round}, process {}", task % 4)).await,
                }
            }
        }));
        let failing = async {
            for _ in 0..2 {
                tokio::time::sleep(Duration::from_millis(dice.random_range(5..120))).await;
                let _broken = whole.write().await;
                fault(&mut dice, &processes, &redis).await;
                tokio::time::sleep(Duration::from_millis(dice.random_range(20..400))).await;
                heal(&processes, &redis).await;
            }
            over.store(true, Relaxed);
        };
        futures::future::join(going_on, failing).await;
    }
    let get = |counter: &AtomicUsize| counter.load(Relaxed);
    println!(
        "{} reads, {} writes, {} writers who died, {} faults: 0 anomalies; {} reads were up to 100 ms behind",
        get(&counts.reads),
        get(&counts.writes),
        get(&counts.deaths),
        2 * ROUNDS,
        get(&counts.behind)
    );
    assert!(get(&counts.reads) > 1_000 && get(&counts.writes) > 50 && get(&counts.deaths) > 5);
}
