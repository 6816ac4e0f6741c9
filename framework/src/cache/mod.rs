//! The cache: values in this process, behind them Redis, behind that a loader that knows the database.
//!
//! `cache` knows no shard and no viewer: a region is handed a loader, and holds objects, never what
//! one viewer may see of them. Its invariants:
//!
//! - **One load**: of all who miss a key in a process one asks Redis, and of all processes one, which
//!   holds the key's lease, asks the database ([`flight`](self), [`shared`](self)).
//! - **No lies**: a write blocks fills of its keys in Redis and here before it commits, and unblocks them
//!   after; a load that began before it can't cache what it read. The first level is coherent only as
//!   long as it is known to have received all invalidations but those of the last 100 ms ([`listener`](self)).
//! - **Errors change nothing**: a loader's error goes to those who wait, is never cached, and evicts
//!   nothing.
//! - **Bounded**: the first level by the bytes of its values, each value by its size, everything by
//!   its age.
//!
//! What is deliberately absent: writing through. A value is only ever what a loader read from a
//! primary database after the last change.

mod cached;
mod fetch;
mod flight;
mod invalidation;
mod listener;
mod local;
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
pub use invalidation::Changed;
pub use region::{Batch, Region};

use crate::config;
use crate::error::Result;
use crate::id::Clock;
use crate::redis::Redis;
use crate::telemetry::Metrics;
use local::{Key, Local};
use shared::Shared;
use stats::AllStats;

/// What the single flight's locks are: loom puts its own in their place.
mod sync {
    pub(super) use std::sync::{Arc, Mutex, MutexGuard};
}

/// The handle on all cached values; clones share everything.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    local: Local,
    shared: Option<Shared>,
    redis: Option<Redis>,
    stats: Arc<AllStats>,
    clock: Clock,
    value_bytes: usize,
    /// The names of the regions, at their numbers.
    regions: RwLock<Vec<String>>,
    /// Until when the first level is coherent, in milliseconds of the clock.
    coherent_until_ms: AtomicU64,
    /// Those that could not be published in Redis, or are to be published again later.
    pending_invalidations: invalidation::InvalidationQueue,
    /// Those that were published a moment ago.
    recent_invalidations: invalidation::InvalidationQueue,
    /// Whether somebody is publishing.
    is_publishing: AtomicBool,
}

impl Cache {
    /// A cache of this process, and of Redis where there is one, counted among `metrics`.
    ///
    /// # Errors
    /// Internal: the thread that listens to other processes can't be started.
    pub fn open(
        redis: Option<Redis>,
        clock: Clock,
        settings: &config::Cache,
        metrics: &Metrics,
    ) -> Result<Self> {
        let stats = Arc::<AllStats>::default();
        let inner = Arc::new(Inner {
            local: Local::new(settings.memory_bytes, stats.clone()),
            shared: redis.clone().map(Shared::new),
            // Alone, a process knows of every change.
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

    /// Whether something was changed here that could not be published to other processes yet.
    pub fn has_pending_invalidations(&self) -> bool {
        self.0.pending_invalidations.has_due(self.0.clock.now_ms())
    }

    /// Whether the first level is coherent now: always, but where the invalidations of other processes may
    /// not have been received.
    pub fn is_coherent(&self) -> bool {
        self.0.is_coherent(self.0.clock.now_ms())
    }
}

impl Inner {
    fn is_coherent(&self, now_ms: u64) -> bool {
        now_ms <= self.coherent_until_ms.load(Relaxed)
    }

    fn mark_coherent_until(&self, ms: u64) {
        self.coherent_until_ms.fetch_max(ms, Relaxed);
    }

    /// Whether the server of this identity is the one that calls go to now.
    fn is_current_server(&self, identity: &str) -> bool {
        self.redis.as_ref().and_then(Redis::identity).as_deref() == Some(identity)
    }

    fn mark_incoherent(&self) {
        self.coherent_until_ms.store(0, Relaxed);
    }

    /// Drops what another process has changed.
    fn drop_changed(&self, message: &str) {
        let regions = self.regions.read().unwrap_or_else(|broken| broken.into_inner());
        for (name, id) in shared::changed(message) {
            let Some(number) = regions.iter().position(|region| region == name) else { continue };
            let key = Key { region: number as u32, id };
            self.local.drop_key(key);
            self.stats.of(key.region).invalidations.fetch_add(1, Relaxed);
        }
    }

    /// The number of a new region.
    fn add_region(&self, name: &str) -> u32 {
        let separates = |sign: char| sign == ':' || sign.is_whitespace();
        assert!(
            !name.is_empty() && !name.contains(separates),
            "{name:?} names no region of the cache: letters, digits, dots"
        );
        let mut regions = self.regions.write().unwrap_or_else(|broken| broken.into_inner());
        assert!(!regions.iter().any(|region| region == name), "two regions of the cache are named {name:?}");
        regions.push(name.to_owned());
        self.stats.add(name);
        regions.len() as u32 - 1
    }
}
