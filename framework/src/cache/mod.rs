//! The cache: values in this process, then Redis, then a loader that reads the database.
//!
//! `cache` does not depend on shards or viewers: a region is given a loader, and holds objects, never what
//! one viewer may see of them. Its invariants:
//!
//! - **One load**: of all readers in a process that miss a key, one looks in Redis. Of all processes,
//!   the one that holds the key's lease reads the database ([`flight`](self), [`shared`](self)).
//! - **No lies**: a write blocks fills of its keys in Redis and in this process before it commits, and
//!   unblocks them after. A load that began before the write can't cache what it read. The first level
//!   is coherent only while it is certain to have received every invalidation older than 100 ms
//!   ([`listener`](self)).
//! - **Errors change nothing**: a loader's error goes to the waiting readers, is never cached, and
//!   evicts nothing.
//! - **Bounded**: the first level by the total size of its values, each value by its size, everything by
//!   age.
//!
//! What is deliberately absent: write-through. A value is always what a loader read from a primary
//! database after the last change.

mod cached;
mod entry;
mod fetch;
mod flight;
mod generation;
mod invalidation;
mod listener;
mod local;
mod near;
mod recent;
mod record;
mod region;
mod scripts;
mod shared;
mod stats;

use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

pub use cached::{Cached, RegionConfig};
pub(crate) use generation::Generation;
pub use invalidation::Changed;
pub(crate) use near::NearCache;
pub use region::{Batch, Region};

use crate::config;
use crate::error::Result;
use crate::id::Clock;
use crate::redis::{Redis, cmd};
use crate::telemetry::Metrics;
use entry::Key;
use local::Local;
use shared::Shared;
use stats::AllStats;

/// The locks of single flight; loom replaces them with its own.
mod sync {
    pub(super) use std::sync::{Arc, Mutex, MutexGuard};
}

/// The hash in Redis that holds the databases' histories.
const HISTORIES: &str = "c:histories";

/// The handle on all cached values; clones share everything.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    local: Local,
    shared: Option<Shared>,
    generation: Generation,
    redis: Option<Redis>,
    stats: Arc<AllStats>,
    clock: Clock,
    value_bytes: usize,
    /// The names of the regions, indexed by their numbers.
    regions: RwLock<Vec<String>>,
    /// Until when the first level is coherent, in milliseconds of the clock.
    coherent_until_ms: AtomicU64,
    /// Invalidations that could not be published in Redis, or are to be published again later.
    pending_invalidations: invalidation::InvalidationQueue,
    /// Invalidations published in the last seconds.
    recent_invalidations: invalidation::InvalidationQueue,
    /// Whether pending invalidations are being published.
    is_publishing: AtomicBool,
}

impl Cache {
    /// A cache in this process, and in Redis if there is one. Its counters are registered with
    /// `metrics`.
    ///
    /// # Errors
    /// Internal: the listener's thread can't be started.
    pub fn open(
        redis: Option<Redis>,
        clock: Clock,
        settings: &config::Cache,
        metrics: &Metrics,
    ) -> Result<Self> {
        let (stats, generation) = (Arc::<AllStats>::default(), Generation::default());
        let inner = Arc::new(Inner {
            local: Local::new(settings.memory_bytes, stats.clone()),
            shared: redis.clone().map(|redis| Shared::new(redis, generation.clone())),
            generation,
            // A process without Redis is the only one, so it sees every change.
            coherent_until_ms: AtomicU64::new(if redis.is_some() { 0 } else { u64::MAX }),
            redis,
            stats: stats.clone(),
            clock,
            value_bytes: settings.value_bytes as usize,
            regions: RwLock::default(),
            pending_invalidations: invalidation::InvalidationQueue::default(),
            recent_invalidations: invalidation::InvalidationQueue::default(),
            is_publishing: AtomicBool::new(false),
        });
        let cache = Arc::downgrade(&inner);
        let is_coherent = Box::new(move || cache.upgrade().is_some_and(|inner| Cache(inner).is_coherent()));
        metrics.register(stats::Counters { stats, is_coherent });
        if inner.shared.is_some() {
            listener::start(Arc::downgrade(&inner))?;
        }
        Ok(Self(inner))
    }

    /// The generation of the databases that cached values are read from.
    pub(crate) fn generation(&self) -> &Generation {
        &self.0.generation
    }

    /// Begins another generation, after a database's server was replaced by one that may lack its last
    /// writes: what was read before, in any process, is not used again.
    pub(crate) fn begin_generation(&self, number: u64) {
        if self.0.generation.number() == number {
            return;
        }
        // First: a value that is read from now on belongs to this generation.
        self.0.generation.set(number);
        self.0.local.clear();
    }

    /// The history that a database's server had when a process last saw it; `None` if Redis does not know.
    pub(crate) async fn recall_history(&self, database: &str) -> Option<String> {
        let redis = self.0.redis.as_ref()?;
        redis.query(&cmd("HGET").arg(redis.key(HISTORIES)).arg(database).take()).await.ok()?
    }

    /// Tells later processes the history of a database's server, for when it does not answer them.
    pub(crate) async fn note_history(&self, database: &str, history: &str) {
        let Some(redis) = &self.0.redis else { return };
        let note = cmd("HSET").arg(redis.key(HISTORIES)).arg(database).arg(history).take();
        if let Err(error) = redis.query::<()>(&note).await {
            tracing::debug!(error = error.chain(), "the history of a database is not noted in Redis");
        }
    }

    /// Whether changes made here could not yet be published to other processes.
    pub fn has_pending_invalidations(&self) -> bool {
        self.0.pending_invalidations.has_due(self.0.clock.now_ms())
    }

    /// Whether the first level is coherent now. It is not when invalidations from other processes may
    /// have been missed.
    pub fn is_coherent(&self) -> bool {
        self.0.is_coherent(self.0.clock.now_ms())
    }
}

/// Whether this can be the name of a region: it becomes part of keys and of messages that list keys.
pub(crate) fn is_region_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|sign: char| sign == ':' || sign.is_whitespace())
}

impl Inner {
    fn is_coherent(&self, now_ms: u64) -> bool {
        now_ms <= self.coherent_until_ms.load(Relaxed)
    }

    fn mark_coherent_until(&self, ms: u64) {
        self.coherent_until_ms.fetch_max(ms, Relaxed);
    }

    /// Whether commands currently go to the server with this identity.
    fn is_current_server(&self, identity: &str) -> bool {
        self.redis.as_ref().and_then(Redis::identity).as_deref() == Some(identity)
    }

    fn mark_incoherent(&self) {
        self.coherent_until_ms.store(0, Relaxed);
    }

    /// Drops the keys that another process has changed.
    fn drop_changed(&self, message: &str) {
        let regions = self.regions.read().unwrap_or_else(|broken| broken.into_inner());
        for (name, id) in shared::changed(message) {
            let Some(number) = regions.iter().position(|region| region == name) else { continue };
            let key = Key { region: number as u32, id };
            self.local.drop_key(key);
            self.stats.of(key.region).invalidations.fetch_add(1, Relaxed);
        }
    }

    /// Adds a region and returns its number.
    fn add_region(&self, name: &str) -> u32 {
        assert!(is_region_name(name), "{name:?} names no region of the cache: letters, digits, dots");
        let mut regions = self.regions.write().unwrap_or_else(|broken| broken.into_inner());
        assert!(!regions.iter().any(|region| region == name), "two regions of the cache are named {name:?}");
        regions.push(name.to_owned());
        self.stats.add(name);
        regions.len() as u32 - 1
    }
}
