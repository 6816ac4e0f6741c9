//! The first level: values in this process, bounded by their total size in bytes.
//!
//! moka decides which entries stay. Storing, blocking and dropping a key take the lock of the key's
//! flights, so that a load that is in progress while its key changes stores nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

// Seeded at random like std's, and takes a third of its time.
use ahash::RandomState;

use super::entry::{Answer, Entry, EntryState, Key, OVERHEAD_BYTES};
use super::flight::{Flights, Loading, Turn};
use super::recent::Versions;
use super::stats::AllStats;

/// The number of locks: enough that threads that miss different keys seldom contend.
const LOCKS: usize = 64;

/// The first level of all regions.
pub(super) struct Local {
    entries: moka::sync::Cache<Key, Entry, RandomState>,
    stats: Arc<AllStats>,
    flights: Box<[Arc<Flights<Key, Answer>>]>,
    hasher: RandomState,
    versions: Versions,
    changes: AtomicU64,
}

impl Local {
    pub(super) fn new(bytes: u64, stats: Arc<AllStats>) -> Self {
        let (evicted, hasher) = (stats.clone(), RandomState::new());
        let entries = moka::sync::Cache::builder()
            .max_capacity(bytes)
            .weigher(|_: &Key, entry: &Entry| entry.bytes)
            .eviction_listener(move |key, entry, _| evicted.of(key.region).removed(entry.bytes))
            .build_with_hasher(hasher.clone());
        let flights = (0..LOCKS).map(|_| Arc::default()).collect();
        Self { entries, stats, flights, hasher, versions: Versions::new(), changes: AtomicU64::new(0) }
    }

    /// The entry of a key, unless it has expired.
    pub(super) fn get(&self, key: Key, now_ms: u64) -> Option<Entry> {
        let hash = self.hasher.hash_one(key);
        let entry = self.versions.get(key, hash, now_ms, || self.entries.get(&key))?;
        (now_ms < entry.expires_ms).then_some(entry)
    }

    /// Joins the load of a key, or begins one. The times and `lookup` are as for [`Flights::join`].
    pub(super) fn join(
        &self,
        key: Key,
        times_ms: (u64, u64),
        lookup: impl FnOnce() -> Option<Answer>,
    ) -> Turn<Key, Answer> {
        Flights::join(self.flights(key), key, times_ms, lookup)
    }

    /// Completes a load and caches `store`, unless fills of the key are blocked because its row is being
    /// changed. Returns whether they are blocked.
    pub(super) fn complete(
        &self,
        loading: Loading<Key, Answer>,
        key: Key,
        answer: Answer,
        store: Option<Entry>,
        now_ms: u64,
    ) -> bool {
        let mut is_blocked = false;
        loading.complete(answer, || {
            if let Some(entry) = store {
                is_blocked =
                    self.get(key, now_ms).is_some_and(|there| matches!(there.state, EntryState::Blocked(_)));
                if !is_blocked {
                    self.insert(key, entry);
                }
            }
        });
        is_blocked
    }

    /// A number for a new change.
    pub(super) fn begin_change(&self) -> u64 {
        self.changes.fetch_add(1, Relaxed)
    }

    /// Drops the entry of a key that is being changed, and blocks fills until the change ends.
    pub(super) fn block_fills(&self, key: Key, change: u64, now_ms: u64, until_ms: u64) {
        let state = EntryState::Blocked(change);
        let (fresh_until_ms, expires_ms, bytes) = (until_ms, until_ms, OVERHEAD_BYTES);
        let entry = Entry { state, loaded_ms: now_ms, fresh_until_ms, expires_ms, bytes };
        self.flights(key).forget(&key, || self.insert(key, entry));
    }

    /// Ends a change: values read from now on are cached.
    pub(super) fn unblock_fills(&self, key: Key, change: u64) {
        self.flights(key).forget(&key, || match self.entries.get(&key).map(|entry| entry.state) {
            // Another change is still in progress.
            Some(EntryState::Blocked(other)) if other != change => {}
            _ => self.remove(key),
        });
    }

    /// Drops the entry of a key that another process has changed.
    pub(super) fn drop_key(&self, key: Key) {
        self.flights(key).forget(&key, || {
            if !matches!(self.entries.get(&key), Some(Entry { state: EntryState::Blocked(_), .. })) {
                self.remove(key);
            }
        });
    }

    /// Drops everything, when invalidations may have been missed.
    pub(super) fn clear(&self) {
        for flights in &self.flights {
            flights.forget_all(|| ());
        }
        self.entries.invalidate_all();
        self.versions.raise_all();
    }

    fn insert(&self, key: Key, entry: Entry) {
        // moka would serve entries until its eviction has run.
        if self.entries.policy().max_capacity() == Some(0) {
            return;
        }
        self.stats.of(key.region).added(entry.bytes);
        self.entries.insert(key, entry);
        self.versions.raise(self.hasher.hash_one(key));
    }

    fn remove(&self, key: Key) {
        self.entries.invalidate(&key);
        self.versions.raise(self.hasher.hash_one(key));
    }

    fn flights(&self, key: Key) -> &Arc<Flights<Key, Answer>> {
        let index = self.hasher.hash_one(key) as usize % LOCKS;
        &self.flights[index]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Key = Key { region: 0, id: 7 };

    fn local() -> Local {
        let stats = Arc::<AllStats>::default();
        stats.add("test");
        Local::new(1 << 20, stats)
    }

    fn entry(loaded_ms: u64) -> Entry {
        let (fresh_until_ms, expires_ms, bytes) = (u64::MAX, u64::MAX, OVERHEAD_BYTES);
        Entry { state: EntryState::Absent, loaded_ms, fresh_until_ms, expires_ms, bytes }
    }

    #[test]
    fn a_thread_that_has_read_a_key_sees_each_of_its_changes() {
        const CHANGES: u64 = 100_000;
        let (local, written) = (local(), AtomicU64::new(0));
        local.insert(KEY, entry(0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while written.load(std::sync::atomic::Ordering::Acquire) < CHANGES {
                        let before = written.load(std::sync::atomic::Ordering::Acquire);
                        let read = local.get(KEY, 0).map(|entry| entry.loaded_ms);
                        assert!(read >= Some(before), "{read:?} was read after {before} was written");
                    }
                });
            }
            for change in 1..=CHANGES {
                local.insert(KEY, entry(change));
                written.store(change, std::sync::atomic::Ordering::Release);
            }
        });
    }

    #[test]
    fn a_thread_that_has_read_a_key_sees_it_dropped_and_blocked() {
        let local = local();
        let is_there = || local.get(KEY, 0).is_some_and(|entry| matches!(entry.state, EntryState::Absent));
        let forgets = |how: &str, forget: fn(&Local)| {
            local.insert(KEY, entry(0));
            assert!(is_there() && is_there(), "before it is {how}");
            forget(&local);
            assert!(!is_there(), "{how}");
        };
        forgets("dropped", |local| local.drop_key(KEY));
        forgets("cleared", |local| local.clear());
        forgets("blocked", |local| local.block_fills(KEY, 1, 0, u64::MAX));
        local.unblock_fills(KEY, 1);
        assert!(local.get(KEY, 0).is_none(), "nothing is blocked any more");
    }
}
