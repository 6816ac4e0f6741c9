//! What a thread has read of the first level a moment ago.
//!
//! moka notes every read in a queue that all threads share, and so do they the processor's cache lines
//! of what they read. A page of feed is some fifty values, most of them read by everybody, and on two
//! processors this took a third of its time. A thread therefore keeps the entries it has read for up to a
//! second, and uses one as long as no version of its key has come since: [`Versions`] are raised by each
//! change of what the first level holds, and only read by readers.
//!
//! An entry is at most [`MAX_BYTES`], and a thread has [`SLOTS`] of them.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use super::local::{Entry, Key};

/// Entries of a thread: one for each remainder of a key's hash.
const SLOTS: usize = 512;
/// Larger entries are not kept by threads.
const MAX_BYTES: u32 = 16 << 10;
/// After this, moka is asked again, which thereby learns that the entry is in use.
const MAX_AGE_MS: u64 = 1_000;
/// Versions: one for each remainder of a key's hash.
const VERSIONS: usize = 4_096;

thread_local! {
    static RECENT: RefCell<Box<[Option<Recent>]>> = RefCell::new((0..SLOTS).map(|_| None).collect());
}

/// An entry as a thread has read it.
struct Recent {
    /// The cache that it is of; a process may have several.
    cache: u64,
    key: Key,
    version: u64,
    read_ms: u64,
    entry: Entry,
}

/// How often what a cache holds under a key, or under one of the same remainder, has changed.
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

    /// To be called after the change, and before whoever made it relies on it.
    pub(super) fn raise(&self, hash: u64) {
        self.counter(hash).fetch_add(1, Ordering::Release);
    }

    pub(super) fn raise_all(&self) {
        for counter in &self.counters {
            counter.fetch_add(1, Ordering::Release);
        }
    }

    /// The entry of a key: this thread's own while it is that of the key's version, else that of `read`.
    pub(super) fn get(
        &self,
        key: Key,
        hash: u64,
        now_ms: u64,
        read: impl FnOnce() -> Option<Entry>,
    ) -> Option<Entry> {
        // Before the entry is read: of one that changes meanwhile, the version is another one afterwards.
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
        // What it replaces is dropped after the borrow: a value may read the cache as it is dropped.
        let _replaced = RECENT.with_borrow_mut(|recent| std::mem::replace(&mut recent[slot], kept));
        Some(entry)
    }

    fn counter(&self, hash: u64) -> &AtomicU64 {
        &self.counters[(hash >> 32) as usize % VERSIONS]
    }
}

#[cfg(test)]
mod tests {
    use super::super::local::EntryState;
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
