//! Invalidation: fills of the keys that a transaction writes are blocked before it commits and unblocked
//! after.
//!
//! The block comes first, so that old values are never cached, even if the committing process dies. A
//! block expires after [`BLOCK_MS`]. If Redis is unavailable, invalidations are queued and published
//! once it is back; until then this process reads nothing from Redis. After a failover, the
//! invalidations of the last seconds are published again, as the new server may have missed them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::entry::Key;
use super::shared::{BLOCK_MS, Namespace};
use super::stats::Stats;
use super::{Cache, Region, record};
use crate::error::Result;

/// Invalidations no older than this are published again to a server that takes over.
const RECENT_MS: u64 = 15_000;
/// The maximum number of queued keys. Beyond it the oldest are dropped, and their old values may be
/// served until they expire.
const MAX_QUEUED: usize = 100_000;
/// Keys published at once: few enough for Redis to handle well within the reply timeout.
const BATCH_KEYS: usize = 500;

/// A key that a transaction changes.
#[derive(Clone, Debug)]
pub struct Changed {
    pub(super) key: Key,
    pub(super) namespace: Arc<Namespace>,
}

impl<T> Region<T> {
    /// Marks the value of this id as changed, for [`crate::shard::Tx::changes`].
    pub fn changed(&self, id: i64) -> Changed {
        Changed { key: Key { region: self.number, id }, namespace: self.namespace.clone() }
    }
}

/// Keys whose fills are blocked until their change ends. If this is dropped without unblocking, as after
/// a commit whose outcome is unknown, the keys stay blocked for another [`BLOCK_MS`] and are then
/// invalidated.
#[must_use]
pub(crate) struct BlockedFills {
    cache: Cache,
    change: u64,
    token: String,
    keys: Vec<Changed>,
    /// Whether Redis confirmed the block.
    is_blocked: bool,
    is_unblocked: bool,
}

impl Cache {
    /// Blocks fills of these keys. Call it before the transaction that changes their rows commits.
    pub(crate) async fn block_fills(&self, keys: Vec<Changed>) -> BlockedFills {
        let now_ms = self.0.clock.now_ms();
        let change = self.0.local.begin_change();
        for changed in &keys {
            Stats::count(&self.0.stats.of(changed.key.region).changes, 1);
            self.0.local.block_fills(changed.key, change, now_ms, now_ms + BLOCK_MS);
        }
        let token = record::token();
        let mut is_blocked = true;
        if let Some(shared) = &self.0.shared
            && ok_or_log(shared.block_fills(&in_redis(&keys), &token, now_ms).await).is_none()
        {
            is_blocked = false;
            // Queued already now: until it is published, this process reads nothing from Redis.
            self.0.pending_invalidations.add(now_ms, in_redis(&keys));
        }
        BlockedFills { cache: self.clone(), change, token, keys, is_blocked, is_unblocked: false }
    }

    /// Publishes the pending invalidations that are due.
    pub(super) async fn publish_pending(&self) {
        self.publish(&self.0.pending_invalidations).await;
    }

    /// Publishes the invalidations of the last seconds again, to a server that may have missed them.
    pub(super) async fn republish_recent(&self) {
        self.0.recent_invalidations.make_all_due();
        self.publish(&self.0.recent_invalidations).await;
    }

    async fn publish(&self, queue: &InvalidationQueue) {
        let Some(shared) = &self.0.shared else { return };
        loop {
            let now_ms = self.0.clock.now_ms();
            let (numbers, keys) = queue.next_batch(now_ms);
            if keys.is_empty() {
                return;
            }
            // With a fresh token: blocks of other writers stay, and everything else is dropped.
            if ok_or_log(shared.unblock_fills(&keys, &record::token(), false, now_ms).await).is_none() {
                return;
            }
            queue.remove(numbers);
            self.0.recent_invalidations.add(now_ms + RECENT_MS, keys);
        }
    }
}

impl BlockedFills {
    /// Unblocks fills of the keys, after the transaction has committed.
    pub(crate) async fn unblock_fills(mut self) {
        let cache = self.cache.clone();
        if let Some(shared) = &cache.0.shared {
            let (now_ms, keys) = (cache.0.clock.now_ms(), in_redis(&self.keys));
            match ok_or_log(shared.unblock_fills(&keys, &self.token, self.is_blocked, now_ms).await) {
                Some(()) => {
                    cache.0.recent_invalidations.expire(now_ms);
                    cache.0.recent_invalidations.add(now_ms + RECENT_MS, keys);
                }
                None => cache.0.pending_invalidations.add(now_ms, keys),
            }
        }
        for changed in &self.keys {
            cache.0.local.unblock_fills(changed.key, self.change);
        }
        self.is_unblocked = true;
    }
}

impl Drop for BlockedFills {
    fn drop(&mut self) {
        if self.is_unblocked {
            return;
        }
        let now_ms = self.cache.0.clock.now_ms();
        for changed in &self.keys {
            // Block again: another change of the key may have ended and unblocked it.
            self.cache.0.local.block_fills(changed.key, self.change, now_ms, now_ms + BLOCK_MS);
        }
        if self.cache.0.shared.is_some() {
            self.cache.0.pending_invalidations.add(now_ms + BLOCK_MS, in_redis(&self.keys));
        }
    }
}

/// Keys in Redis.
type Keys = Vec<(Arc<Namespace>, i64)>;

fn in_redis(keys: &[Changed]) -> Keys {
    keys.iter().map(|changed| (changed.namespace.clone(), changed.key.id)).collect()
}

/// Redis's reply; `None` if it failed or its outcome is unknown.
fn ok_or_log<T>(done: Result<T>) -> Option<T> {
    done.inspect_err(|error| {
        tracing::debug!(error = error.chain(), "an invalidation is published once Redis answers again");
    })
    .ok()
}

/// Changed keys in order of arrival, each with a time.
#[derive(Debug, Default)]
pub(super) struct InvalidationQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    invalidations: VecDeque<Invalidation>,
    next: u64,
}

#[derive(Debug)]
struct Invalidation {
    number: u64,
    /// When to publish it; for a recent invalidation, when to forget it.
    at_ms: u64,
    key: (Arc<Namespace>, i64),
}

impl InvalidationQueue {
    fn add(&self, at_ms: u64, keys: Keys) {
        let mut queue = self.lock();
        for key in keys {
            let number = queue.next;
            queue.next += 1;
            queue.invalidations.push_back(Invalidation { number, at_ms, key });
        }
        let excess = queue.invalidations.len().saturating_sub(MAX_QUEUED);
        queue.invalidations.drain(..excess);
    }

    /// Whether any invalidation is due.
    pub(super) fn has_due(&self, now_ms: u64) -> bool {
        self.lock().invalidations.iter().any(|invalidation| invalidation.at_ms <= now_ms)
    }

    /// The first batch of invalidations that are due, with their numbers.
    fn next_batch(&self, now_ms: u64) -> (Vec<u64>, Keys) {
        let queue = self.lock();
        let due = queue.invalidations.iter().filter(|invalidation| invalidation.at_ms <= now_ms);
        due.take(BATCH_KEYS).map(|invalidation| (invalidation.number, invalidation.key.clone())).unzip()
    }

    fn remove(&self, numbers: Vec<u64>) {
        let is_kept = |invalidation: &Invalidation| numbers.binary_search(&invalidation.number).is_err();
        self.lock().invalidations.retain(is_kept);
    }

    /// Drops the leading invalidations whose time has passed.
    fn expire(&self, now_ms: u64) {
        let mut queue = self.lock();
        while queue.invalidations.front().is_some_and(|invalidation| invalidation.at_ms <= now_ms) {
            queue.invalidations.pop_front();
        }
    }

    fn make_all_due(&self) {
        let mut queue = self.lock();
        for invalidation in &mut queue.invalidations {
            invalidation.at_ms = 0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
