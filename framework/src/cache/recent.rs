//! A thread's own copies of entries it has just read from the first level.
//!
//! moka records every read in a queue that all threads share, and a read entry's cache lines move between
//! processors. A page of feed has about fifty values, most of them read by every viewer; moka took a sixth of
//! the page's time (perf, two Intel cores). A thread therefore keeps the entries it has read for up to a
//! second, and uses a copy while the version of its key is unchanged. Every change to the first level raises
//! [`Versions`]; readers only load them.
//!
//! An entry is at most [`MAX_BYTES`], and a thread keeps at most [`SLOTS`] of them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::entry::{Entry, Key};

/// Entries per thread. A key's slot is its hash modulo this.
const SLOTS: usize = 512;
/// Larger entries are not kept.
const MAX_BYTES: u32 = 16 << 10;
/// After this the thread reads from moka again, so that moka counts the entry as in use.
const MAX_AGE_MS: u64 = 1_000;
/// Version counters. A key's counter is the upper half of its hash modulo this.
const VERSIONS: usize = 4_096;

thread_local! {
    static RECENT: RefCell<Box<[Option<Recent>]>> = RefCell::new((0..SLOTS).map(|_| None).collect());
}

/// An entry as this thread has read it.
struct Recent {
    /// The cache it belongs to; a process may have several.
    cache: u64,
    key: Key,
    version: u64,
    read_ms: u64,
    entry: Entry,
}

/// Counts the changes to keys; keys whose hashes share a remainder share a counter.
pub(super) struct Versions {
    cache: u64,
    counters: Box<[AtomicU64]>,
}

impl Versions {
    pub(super) fn new() -> Self {
        static CACHES: AtomicU64 = AtomicU64::new(0);
        let counters = (0..VERSIONS).map(|_| AtomicU64::new(0)).collect();
        Self { cache: CACHES.fetch_add(1, Ordering::Relaxed), counters }
    }

    /// Call this after the change, and before its caller relies on it.
    pub(super) fn raise(&self, hash: u64) {
        self.counter(hash).fetch_add(1, Ordering::Release);
    }

    pub(super) fn raise_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    /// The entry of a key: this thread's copy if its version is current, otherwise the result of `read`.
    pub(super) fn get(
        &self,
        key: Key,
        hash: u64,
        now_ms: u64,
        read: impl FnOnce() -> Option<Entry>,
    ) -> Option<Entry> {
        // Loaded before the entry: if the entry changes meanwhile, the version no longer matches.
        let version = self.counter(hash).load(Ordering::Acquire);
        let is_current = |recent: &&Recent| {
            recent.key == key
                && recent.version == version
                && recent.cache == self.cache
                && now_ms.saturating_sub(recent.read_ms) < MAX_AGE_MS
        };
        let slot = hash as usize % SLOTS;
        let recent = RECENT.with_borrow(|recent| {
            recent[slot].as_ref().filter(is_current).map(|recent| recent.entry.clone())
        });
        if recent.is_some() {
            return recent;
        }
        let entry = read()?;
        let kept = (entry.bytes <= MAX_BYTES).then(|| Recent {
            cache: self.cache,
            key,
            version,
            read_ms: now_ms,
            entry: entry.clone(),
        });
        // The replaced entry is dropped after the borrow: dropping a value may read the cache.
        let _replaced = RECENT.with_borrow_mut(|recent| std::mem::replace(&mut recent[slot], kept));
        Some(entry)
    }

    fn counter(&self, hash: u64) -> &AtomicU64 {
        &self.counters[(hash >> 32) as usize % VERSIONS]
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::EntryState;
    use super::*;

    fn entry(loaded_ms: u64, bytes: u32) -> Option<Entry> {
        Some(Entry { state: EntryState::Absent, loaded_ms, fresh_until_ms: 0, expires_ms: u64::MAX, bytes })
    }

    #[test]
    fn a_thread_reads_again_what_changed_is_old_or_large() {
        let (versions, key, hash) = (Versions::new(), Key { region: 1, id: 2 }, 7 << 32 | 3);
        let read = |versions: &Versions, now_ms, new| {
            versions.get(key, hash, now_ms, || entry(new, 600)).unwrap().loaded_ms
        };
        assert_eq!((read(&versions, 0, 1), read(&versions, 999, 2)), (1, 1), "its own");
        versions.raise(hash);
        assert_eq!((read(&versions, 999, 3), read(&versions, 999, 4)), (3, 3), "the version has changed");
        assert_eq!(read(&versions, 1_999, 5), 5, "a second later");
        versions.raise_all();
        assert_eq!(read(&versions, 1_999, 6), 6, "all versions have changed");
        assert_eq!(read(&Versions::new(), 1_999, 7), 7, "another cache");
        let other = Key { region: 1, id: 3 };
        assert_eq!(versions.get(other, hash, 0, || entry(8, 600)).unwrap().loaded_ms, 8, "another key");
        let large = |new| versions.get(key, hash, 0, || entry(new, MAX_BYTES + 1)).unwrap().loaded_ms;
        assert_eq!((large(9), large(10)), (9, 10), "too large");
    }
}
