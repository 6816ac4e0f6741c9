//! Changes: what a transaction writes is barred before it commits and admitted after.
//!
//! The bar comes first, so that whatever happens to the process that commits, nobody keeps what was
//! there before. It ends by itself after [`BAR_MS`]. What could not be told, because Redis did not
//! answer, is told as soon as it does; until then this process reads nothing in Redis. What was told in
//! the last seconds is told again to a server that takes over, which may have missed it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::local::Key;
use super::shared::{BAR_MS, Space};
use super::stats::Stats;
use super::{Cache, Region, record};
use crate::error::Result;

/// What was told so recently is told again to a server that takes over.
const RECENT_MS: u64 = 15_000;
/// Changed keys remembered at most; past it, the oldest may be given until their values are too old.
const REMEMBERED: usize = 100_000;
/// Told at once: what Redis does well within the time that a reply is waited for.
const AT_ONCE: usize = 500;

/// A key that a transaction changes.
#[derive(Clone, Debug)]
pub struct Changed {
    pub(super) key: Key,
    pub(super) space: Arc<Space>,
}

impl<T> Region<T> {
    /// Names the value of this id as changed, for [`crate::shard::Tx::changes`].
    pub fn changed(&self, id: i64) -> Changed {
        Changed { key: Key { region: self.number, id }, space: self.space.clone() }
    }
}

/// Keys barred until their change is admitted. Dropped without, as after a commit of which nobody knows
/// whether it was made, they are so for another [`BAR_MS`], and are told as changed when that ends.
#[must_use]
pub(crate) struct Barred {
    cache: Cache,
    change: u64,
    token: String,
    keys: Vec<Changed>,
    /// Whether Redis said so.
    is_barred: bool,
    is_admitted: bool,
}

impl Cache {
    /// Bars keys, before the transaction that changes their rows commits.
    pub(crate) async fn bar(&self, keys: Vec<Changed>) -> Barred {
        let now_ms = self.0.clock.now_ms();
        let change = self.0.local.begin_change();
        for changed in &keys {
            Stats::count(&self.0.stats.of(changed.key.region).changes, 1);
            self.0.local.bar(changed.key, change, now_ms, now_ms + BAR_MS);
        }
        let token = record::token();
        let mut is_barred = true;
        if let Some(shared) = &self.0.shared
            && told(shared.bar(&spaces(&keys), &token, now_ms).await).is_none()
        {
            is_barred = false;
            // Already now: until it is told, this process does not read in Redis what it changes.
            self.0.untold.add(now_ms, spaces(&keys));
        }
        Barred { cache: self.clone(), change, token, keys, is_barred, is_admitted: false }
    }

    /// Tells what could not be told and is due.
    pub(super) async fn tell_untold(&self) {
        self.tell(&self.0.untold).await;
    }

    /// Tells what was told a moment ago, to a server that may not have heard of it.
    pub(super) async fn tell_recent(&self) {
        self.0.recent.due_now();
        self.tell(&self.0.recent).await;
    }

    async fn tell(&self, remembered: &Remembered) {
        let Some(shared) = &self.0.shared else { return };
        loop {
            let now_ms = self.0.clock.now_ms();
            let (last, keys) = remembered.some(now_ms);
            if keys.is_empty() {
                return;
            }
            // With a token of nobody's: what is barred by others stays, and all else is dropped.
            if told(shared.admit(&keys, &record::token(), false, now_ms).await).is_none() {
                return;
            }
            remembered.forget(last);
            self.0.recent.add(now_ms + RECENT_MS, keys);
        }
    }
}

impl Barred {
    /// Admits the keys again, once the transaction has committed.
    pub(crate) async fn admit(mut self) {
        let cache = self.cache.clone();
        if let Some(shared) = &cache.0.shared {
            let (now_ms, keys) = (cache.0.clock.now_ms(), spaces(&self.keys));
            match told(shared.admit(&keys, &self.token, self.is_barred, now_ms).await) {
                Some(()) => {
                    cache.0.recent.expire(now_ms);
                    cache.0.recent.add(now_ms + RECENT_MS, keys);
                }
                None => cache.0.untold.add(now_ms, keys),
            }
        }
        for changed in &self.keys {
            cache.0.local.admit(changed.key, self.change);
        }
        self.is_admitted = true;
    }
}

impl Drop for Barred {
    fn drop(&mut self) {
        if self.is_admitted {
            return;
        }
        let now_ms = self.cache.0.clock.now_ms();
        for changed in &self.keys {
            // Somebody else's change of it may be over by now.
            self.cache.0.local.bar(changed.key, self.change, now_ms, now_ms + BAR_MS);
        }
        if self.cache.0.shared.is_some() {
            self.cache.0.untold.add(now_ms + BAR_MS, spaces(&self.keys));
        }
    }
}

/// Keys in Redis.
type Keys = Vec<(Arc<Space>, i64)>;

fn spaces(keys: &[Changed]) -> Keys {
    keys.iter().map(|changed| (changed.space.clone(), changed.key.id)).collect()
}

/// What Redis did; nothing when it did not, or nobody knows.
fn told<T>(done: Result<T>) -> Option<T> {
    done.inspect_err(|error| {
        tracing::debug!(error = error.chain(), "a change is told once Redis answers again");
    })
    .ok()
}

/// Changed keys in the order in which they came, each with a time.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    keys: VecDeque<One>,
    next: u64,
}

#[derive(Debug)]
struct One {
    number: u64,
    /// From when on it is to be told; of the recent ones, from when on it is not worth it any more.
    at_ms: u64,
    key: (Arc<Space>, i64),
}

impl Remembered {
    fn add(&self, at_ms: u64, keys: Keys) {
        let mut queue = self.lock();
        for key in keys {
            let number = queue.next;
            queue.next += 1;
            queue.keys.push_back(One { number, at_ms, key });
        }
        let excess = queue.keys.len().saturating_sub(REMEMBERED);
        queue.keys.drain(..excess);
    }

    /// Whether there is anything to be told.
    pub(super) fn has_due(&self, now_ms: u64) -> bool {
        self.lock().keys.iter().any(|one| one.at_ms <= now_ms)
    }

    /// Some of the first ones that are due, and their numbers.
    fn some(&self, now_ms: u64) -> (Vec<u64>, Keys) {
        let queue = self.lock();
        let due = queue.keys.iter().filter(|one| one.at_ms <= now_ms).take(AT_ONCE);
        due.map(|one| (one.number, one.key.clone())).unzip()
    }

    fn forget(&self, numbers: Vec<u64>) {
        self.lock().keys.retain(|one| numbers.binary_search(&one.number).is_err());
    }

    /// Drops the first ones whose time is over.
    fn expire(&self, now_ms: u64) {
        let mut queue = self.lock();
        while queue.keys.front().is_some_and(|one| one.at_ms <= now_ms) {
            queue.keys.pop_front();
        }
    }

    /// Has all of them told.
    fn due_now(&self) {
        let mut queue = self.lock();
        for one in &mut queue.keys {
            one.at_ms = 0;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
