//! Changes: what a transaction writes is barred before it commits and admitted after.
//!
//! The bar comes first, so that whatever happens to the process that commits, nobody keeps what was
//! there before. It ends by itself after [`BAR_MS`]. What could not be told, because Redis did not
//! answer, is told as soon as it does, and so is what was told in the last seconds before another
//! server took over, which may have missed it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use super::local::Key;
use super::shared::{BAR_MS, Shared, Space};
use super::stats::Stats;
use super::{Cache, Region, record};
use crate::error::Result;

/// What was told so recently is told again to a server that takes over.
const RECENT_MS: u64 = 15_000;
/// Changed keys remembered at most; past it, the oldest may be given until their values are too old.
const REMEMBERED: usize = 100_000;

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

/// Keys barred until their change is admitted; dropped without, they stay so for [`BAR_MS`].
#[must_use]
pub(crate) struct Barred {
    cache: Cache,
    change: u64,
    token: String,
    keys: Vec<Changed>,
    /// In Redis, of all versions in use; nothing when they could not be barred there.
    shared: Option<Keys>,
}

/// Keys in Redis.
type Keys = Vec<(Arc<Space>, i64)>;

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
        let shared = match &self.0.shared {
            Some(shared) => told(shared.bar(&spaces(&keys), &token, now_ms).await),
            None => None,
        };
        Barred { cache: self.clone(), change, token, keys, shared }
    }

    /// Tells of what may not have been heard: everything remembered.
    pub(super) async fn tell_again(&self) {
        let Some(shared) = &self.0.shared else { return };
        let remembered = self.0.recent.take();
        let keys = remembered.iter().map(|(_, space, id)| (space.clone(), *id)).collect();
        match self.tell(shared, keys, &record::token()).await {
            Some(()) => self.0.recent.settle(),
            None => self.0.recent.put_back(remembered),
        }
    }

    /// Bars keys in every version and admits them: nobody keeps what was there before.
    async fn tell(&self, shared: &Shared, keys: Keys, token: &str) -> Option<()> {
        if keys.is_empty() {
            return Some(());
        }
        let barred = told(shared.bar(&keys, token, self.0.clock.now_ms()).await)?;
        told(shared.admit(&barred, token).await)
    }
}

impl Barred {
    /// Admits the keys again, once the transaction has committed.
    pub(crate) async fn admit(self) {
        let Self { cache, change, token, keys, shared: barred } = self;
        if let Some(shared) = &cache.0.shared {
            let is_told = match barred {
                Some(barred) => told(shared.admit(&barred, &token).await),
                None => cache.tell(shared, spaces(&keys), &token).await,
            };
            cache.0.recent.add(cache.0.clock.now_ms(), spaces(&keys), is_told.is_some());
        }
        for changed in keys {
            cache.0.local.admit(changed.key, change);
        }
    }
}

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

/// The keys that were changed a moment ago, and those that nobody could be told of.
#[derive(Debug, Default)]
pub(super) struct Recent {
    keys: Mutex<VecDeque<(u64, Arc<Space>, i64)>>,
    untold: AtomicBool,
}

impl Recent {
    fn add(&self, now_ms: u64, keys: Keys, is_told: bool) {
        let mut recent = self.lock();
        self.untold.fetch_or(!is_told, Relaxed);
        let expires_ms = if is_told { now_ms + RECENT_MS } else { u64::MAX };
        while recent.front().is_some_and(|(expires_ms, ..)| *expires_ms <= now_ms) {
            recent.pop_front();
        }
        recent.extend(keys.into_iter().map(|(space, id)| (expires_ms, space, id)));
        while recent.len() > REMEMBERED {
            recent.pop_front();
        }
    }

    /// Whether anything was never told.
    pub(super) fn has_untold(&self) -> bool {
        self.untold.load(Relaxed)
    }

    fn take(&self) -> Vec<(u64, Arc<Space>, i64)> {
        self.lock().drain(..).collect()
    }

    /// What was taken has been told.
    fn settle(&self) {
        let recent = self.lock();
        self.untold.store(recent.iter().any(|(expires_ms, ..)| *expires_ms == u64::MAX), Relaxed);
    }

    fn put_back(&self, keys: Vec<(u64, Arc<Space>, i64)>) {
        let mut recent = self.lock();
        self.untold.store(true, Relaxed);
        for key in keys.into_iter().rev() {
            recent.push_front(key);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(u64, Arc<Space>, i64)>> {
        self.keys.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
