//! The cache's counters for `/metrics`: for each region, its lookups and its contents.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, RwLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// The upper bounds, in seconds, of the ages by which hits are counted. Older hits are counted last.
const AGES_SECONDS: [u64; 5] = [1, 10, 60, 600, 3_600];

/// The counters of all regions, indexed by region number.
#[derive(Debug, Default)]
pub(super) struct AllStats(RwLock<Vec<Arc<Stats>>>);

/// The counters of a region.
#[derive(Debug, Default)]
pub(super) struct Stats {
    name: String,
    hits: [[AtomicU64; AGES_SECONDS.len() + 1]; 2],
    /// Not found in the first level; not found in the second.
    pub(super) misses: [AtomicU64; 2],
    /// Hits on values that were due to be reloaded.
    pub(super) stale: AtomicU64,
    /// Keys read from the databases, and how many of them failed.
    pub(super) loads: AtomicU64,
    pub(super) load_errors: AtomicU64,
    /// Waits for another process's load.
    pub(super) waits: AtomicU64,
    pub(super) refusals: [AtomicU64; Refusal::NAMES.len()],
    /// Keys whose rows this process changed, and keys whose invalidation was received.
    pub(super) changes: AtomicU64,
    pub(super) invalidations: AtomicU64,
    entries: AtomicI64,
    bytes: AtomicI64,
}

/// Where a value was found.
#[derive(Clone, Copy)]
pub(super) enum Level {
    Process = 0,
    Redis = 1,
}

const LEVELS: [&str; 2] = ["process", "redis"];

/// Why a loaded value is not cached.
#[derive(Clone, Copy)]
pub(super) enum Refusal {
    /// It is larger than `cache.value_bytes`.
    TooLarge = 0,
    /// Its row was changed while it was loaded, or its lease ran out.
    Outdated = 1,
    /// Its row was being changed when it was loaded.
    Blocked = 2,
    /// Redis was unavailable, so a later change might not have invalidated it.
    RedisUnavailable = 3,
    /// The record in Redis can't be decoded.
    Unreadable = 4,
}

impl Refusal {
    const NAMES: [&str; 5] = ["too_large", "outdated", "blocked", "redis_unavailable", "unreadable"];
}

/// Hits of one level, by age. They are added in one go, because all threads share the counters.
#[derive(Default)]
pub(super) struct Hits([u64; AGES_SECONDS.len() + 1]);

impl Hits {
    pub(super) fn add(&mut self, age_ms: u64) {
        let age = AGES_SECONDS.iter().position(|bound| age_ms <= bound * 1_000).unwrap_or(AGES_SECONDS.len());
        self.0[age] += 1;
    }
}

impl Stats {
    pub(super) fn hit(&self, level: Level, age_ms: u64) {
        let mut hits = Hits::default();
        hits.add(age_ms);
        self.hits(level, &hits);
    }

    pub(super) fn hits(&self, level: Level, hits: &Hits) {
        for (counter, count) in self.hits[level as usize].iter().zip(hits.0).filter(|(_, count)| *count > 0) {
            counter.fetch_add(count, Relaxed);
        }
    }

    pub(super) fn count(counter: &AtomicU64, keys: usize) {
        counter.fetch_add(keys as u64, Relaxed);
    }

    pub(super) fn missed(&self, level: Level, keys: usize) {
        self.misses[level as usize].fetch_add(keys as u64, Relaxed);
    }

    pub(super) fn refuse(&self, why: Refusal) {
        self.refusals[why as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn added(&self, bytes: u32) {
        self.entries.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes.into(), Relaxed);
    }

    pub(super) fn removed(&self, bytes: u32) {
        self.entries.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(bytes.into(), Relaxed);
    }
}

impl AllStats {
    /// Adds counters for a region, which has the next number.
    pub(super) fn add(&self, name: &str) -> Arc<Stats> {
        let stats = Arc::new(Stats { name: name.to_owned(), ..Stats::default() });
        self.0.write().unwrap_or_else(|broken| broken.into_inner()).push(stats.clone());
        stats
    }

    pub(super) fn of(&self, region: u32) -> Arc<Stats> {
        self.read()[region as usize].clone()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<Arc<Stats>>> {
        self.0.read().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// Exports the counters, and whether the first level is coherent, to a registry.
pub(super) struct Counters {
    pub(super) stats: Arc<AllStats>,
    pub(super) is_coherent: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counters")
    }
}

/// A label's name and value.
type Label = (&'static str, String);
/// One region's values of a metric, each with its distinguishing labels.
type Values = Vec<(Vec<Label>, i64)>;

impl Collector for Counters {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let (name, help) =
            ("tripod_cache_coherent", "Whether the first level is coherent and so used: 1 or 0");
        let gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from((self.is_coherent)())).encode(gauge)?;
        let regions = self.stats.read();
        for (name, help, kind, values) in METRICS {
            let name = format!("tripod_cache_{name}");
            let mut metric = encoder.encode_descriptor(&name, help, None, kind)?;
            for stats in regions.iter() {
                for (mut labels, value) in values(stats) {
                    labels.insert(0, ("region", stats.name.clone()));
                    let mut row = metric.encode_family(&labels)?;
                    match kind {
                        MetricType::Counter => {
                            row.encode_counter::<NoLabelSet, _, u64>(&(value as u64), None)?
                        }
                        _ => row.encode_gauge(&value)?,
                    }
                }
            }
        }
        Ok(())
    }
}

type Metric = (&'static str, &'static str, MetricType, fn(&Stats) -> Values);

const METRICS: [Metric; 11] = [
    ("hits", "Values found, by level and by their age in seconds at most", MetricType::Counter, |stats| {
        let ages = AGES_SECONDS.map(|bound| bound.to_string()).into_iter().chain(["more".to_owned()]);
        let ages: Vec<String> = ages.collect();
        let level = |(level, counts): (&str, &[AtomicU64; AGES_SECONDS.len() + 1])| -> Values {
            let rows = ages.iter().zip(counts);
            rows.map(|(age, n)| (vec![("level", level.to_owned()), ("age", age.clone())], get(n))).collect()
        };
        LEVELS.into_iter().zip(&stats.hits).flat_map(level).collect()
    }),
    ("misses", "Keys not found, by level", MetricType::Counter, |stats| {
        labelled("level", &LEVELS, &stats.misses)
    }),
    ("stale_hits", "Values given while one reader loads them anew", MetricType::Counter, |stats| {
        one(&stats.stale)
    }),
    ("loads", "Keys asked of the databases", MetricType::Counter, |stats| one(&stats.loads)),
    ("load_errors", "Keys that the databases did not answer", MetricType::Counter, |stats| {
        one(&stats.load_errors)
    }),
    ("waits", "Keys that another process was loading", MetricType::Counter, |stats| one(&stats.waits)),
    ("refusals", "Loaded values that are not cached, by reason", MetricType::Counter, |stats| {
        labelled("reason", &Refusal::NAMES, &stats.refusals)
    }),
    ("changes", "Keys whose rows this process changed", MetricType::Counter, |stats| one(&stats.changes)),
    ("invalidations", "Keys whose invalidation was received", MetricType::Counter, |stats| {
        one(&stats.invalidations)
    }),
    ("entries", "Entries in this process", MetricType::Gauge, |stats| {
        vec![(Vec::new(), stats.entries.load(Relaxed))]
    }),
    ("bytes", "What the entries in this process are reckoned at", MetricType::Gauge, |stats| {
        vec![(Vec::new(), stats.bytes.load(Relaxed))]
    }),
];

fn get(counter: &AtomicU64) -> i64 {
    counter.load(Relaxed) as i64
}

fn one(counter: &AtomicU64) -> Values {
    vec![(Vec::new(), get(counter))]
}

fn labelled(label: &'static str, names: &[&str], counters: &[AtomicU64]) -> Values {
    let rows = names.iter().zip(counters);
    rows.map(|(name, counter)| (vec![(label, (*name).to_owned())], get(counter))).collect()
}
