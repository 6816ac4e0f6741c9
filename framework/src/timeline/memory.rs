//! Timelines kept in this process, bounded in bytes: the least recently read are evicted first.
//!
//! A timeline's entry is created before the build reads the database, so no pushed item is lost: either
//! the build reads it, or the push finds the entry.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};

use moka::sync::Cache;
use tokio::sync::OnceCell;

use super::page::{Key, TimelinePage};
use crate::cache::Generation;
use crate::error::{Error, Result};

/// The estimated size of a timeline without its items: the entry, its key, the tree's root.
const OVERHEAD_BYTES: u64 = 512;
/// The estimated size of an item: its eight bytes, in tree nodes that are half empty.
const ITEM_BYTES: u64 = 24;

#[derive(Clone)]
pub(super) struct Memory {
    /// By the generation of the databases that they were built from: those of an earlier one are never read
    /// again, and evicted in time.
    timelines: Cache<(u64, Key), Arc<Entry>>,
    generation: Generation,
    length: usize,
}

#[derive(Default)]
struct Entry {
    built: OnceCell<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: BTreeSet<i64>,
    /// The low-water mark: every item above it is here; items up to it may be missing.
    complete_above: i64,
}

impl Memory {
    pub(super) fn new(length: usize, cache_bytes: u64, generation: Generation) -> Self {
        // A timeline grows after it is inserted, so it is weighed at its full length.
        let weight = OVERHEAD_BYTES + length as u64 * ITEM_BYTES;
        let timelines = Cache::builder().max_capacity((cache_bytes / weight).max(1)).build();
        Self { timelines, generation, length }
    }

    /// The part of a timeline below `before`. `build` reads at most `length` of the newest items from
    /// the shards, and is called once for all concurrent readers.
    pub(super) async fn read(
        &self,
        key: Key,
        before: i64,
        limit: usize,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        let entry = self.timelines.get_with(self.current(key), Arc::default);
        entry
            .built
            .get_or_try_init(async || {
                let newest = build(self.length).await?;
                let mut state = entry.lock();
                if newest.len() >= self.length {
                    // Pushes may have trimmed the timeline meanwhile, and the mark must never go down.
                    let lowest = newest.iter().min().map_or(0, |lowest| lowest - 1);
                    state.complete_above = state.complete_above.max(lowest);
                }
                state.items.extend(newest);
                state.trim(self.length);
                Ok::<_, Error>(())
            })
            .await?;
        let state = entry.lock();
        let above = (state.complete_above + 1).min(before);
        let items = state.items.range(above..before).rev().take(limit).copied().collect();
        Ok(TimelinePage { items, complete_above: state.complete_above, pulled_version: None })
    }

    /// Adds an item to those of these timelines that are in memory.
    pub(super) fn push(&self, timeline: &'static str, owners: impl Iterator<Item = i64>, item: i64) {
        for owner in owners {
            // Not `get`: a push must not make a timeline look recently read.
            let key = self.current((timeline, owner));
            if self.timelines.contains_key(&key)
                && let Some(entry) = self.timelines.get(&key)
            {
                let mut state = entry.lock();
                if item > state.complete_above {
                    state.items.insert(item);
                    state.trim(self.length);
                }
            }
        }
    }

    /// Removes an item from those of these timelines that are in memory. The mark stays, as the item is
    /// gone from the shards too. A timeline that is being built is dropped: the build may have read the
    /// item before it was deleted.
    pub(super) fn remove(&self, timeline: &'static str, owners: impl Iterator<Item = i64>, item: i64) {
        for key in owners.map(|owner| (timeline, owner)) {
            let current = self.current(key);
            if self.timelines.contains_key(&current)
                && let Some(entry) = self.timelines.get(&current)
            {
                match entry.built.initialized() {
                    true => _ = entry.lock().items.remove(&item),
                    false => self.drop_timeline(key),
                }
            }
        }
    }

    pub(super) fn drop_timeline(&self, key: Key) {
        self.timelines.invalidate(&self.current(key));
    }

    fn current(&self, key: Key) -> (u64, Key) {
        (self.generation.number(), key)
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl State {
    /// Drops the oldest items past `length` and raises the mark to the newest item dropped.
    fn trim(&mut self, length: usize) {
        while self.items.len() > length {
            let dropped = self.items.pop_first().expect("the timeline is longer than its bound");
            self.complete_above = self.complete_above.max(dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(memory: &Memory, before: i64, limit: usize, newest: &[i64]) -> (Vec<i64>, i64) {
        let newest = newest.to_vec();
        let page = memory.read(("home", 1), before, limit, async move |_| Ok(newest)).await.unwrap();
        (page.items, page.complete_above)
    }

    #[tokio::test]
    async fn what_is_trimmed_raises_the_mark() {
        let memory = Memory::new(3, 1 << 20, Generation::default());
        assert_eq!(read(&memory, i64::MAX, 10, &[10, 20]).await, (vec![20, 10], 0));
        memory.push("home", [1, 2].into_iter(), 30);
        assert_eq!(read(&memory, i64::MAX, 10, &[]).await, (vec![30, 20, 10], 0));
        memory.push("home", [1].into_iter(), 40);
        assert_eq!(
            read(&memory, i64::MAX, 10, &[]).await,
            (vec![40, 30, 20], 10),
            "10 was dropped, but the mark does not say so"
        );
        memory.push("home", [1].into_iter(), 5);
        assert_eq!(read(&memory, 40, 1, &[]).await, (vec![30], 10), "an item below the mark is stored");
        memory.remove("home", [1, 2].into_iter(), 30);
        assert_eq!(read(&memory, i64::MAX, 10, &[]).await, (vec![40, 20], 10), "a deleted item is left");
        memory.drop_timeline(("home", 1));
        assert_eq!(
            read(&memory, i64::MAX, 10, &[7]).await,
            (vec![7], 0),
            "a dropped timeline was not rebuilt"
        );
    }

    #[tokio::test]
    async fn a_timeline_that_begins_full_is_complete_only_as_far_as_it_goes() {
        let memory = Memory::new(2, 1 << 20, Generation::default());
        assert_eq!(read(&memory, i64::MAX, 10, &[9, 8]).await, (vec![9, 8], 7));
        assert_eq!(read(&memory, 8, 10, &[]).await, (vec![], 7));
    }
}
