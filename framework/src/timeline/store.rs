//! Where timelines are kept ready: in this process, or in Redis for all processes.

use super::memory::Memory;
use super::redis::Shared;
use crate::error::Result;
use crate::redis::Redis;

/// A timeline's name and whose it is.
pub(crate) type Key = (&'static str, i64);

/// Timelines kept ready, wherever that is.
pub(crate) struct Store(Backend);

enum Backend {
    Memory(Memory),
    Shared(Shared),
}

/// The part of a page that a timeline has ready.
pub(crate) struct TimelinePage {
    /// The newest items asked for, newest first.
    pub(crate) items: Vec<i64>,
    /// Below this there may be more, in the shards only. Zero: nothing is missing.
    pub(crate) complete_above: i64,
    /// Which list of pulled authors was in force when the items were read.
    pub(crate) pulled_version: Option<String>,
}

impl TimelinePage {
    /// Nothing is ready: all is in the shards only.
    pub(crate) fn not_ready() -> Self {
        Self { items: Vec::new(), complete_above: i64::MAX, pulled_version: None }
    }

    /// The part that is among these items, which are in any order and with repeats.
    pub(crate) fn from_items(mut items: Vec<i64>, complete_above: i64, before: i64, limit: usize) -> Self {
        items.retain(|item| *item > complete_above && *item < before);
        items.sort_unstable_by(|a, b| b.cmp(a));
        items.dedup();
        items.truncate(limit);
        Self { items, complete_above, pulled_version: None }
    }
}

impl Store {
    /// Of timelines of this length: in Redis, or else in this process within so many bytes.
    pub(crate) fn new(redis: Option<Redis>, length: usize, cache_bytes: u64) -> Self {
        match redis {
            Some(redis) => Self(Backend::Shared(Shared::new(redis, length))),
            None => Self(Backend::Memory(Memory::new(length, cache_bytes))),
        }
    }

    /// The part of a timeline below `before`. `build` gives the newest items from the shards, at
    /// most as many as it is told, and is called when the timeline is not ready.
    pub(crate) async fn read(
        &self,
        key: Key,
        before: i64,
        limit: usize,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        match &self.0 {
            Backend::Memory(memory) => memory.read(key, before, limit, build).await,
            Backend::Shared(shared) => shared.read(key, before, limit, build).await,
        }
    }

    /// Adds an item to those of these timelines that are ready.
    pub(crate) async fn push(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.push(timeline, owners.iter().copied(), item);
                Ok(())
            }
            Backend::Shared(shared) => shared.push(timeline, owners, item).await,
        }
    }

    /// Takes an item out of those of these timelines that are ready.
    pub(crate) async fn remove(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.remove(timeline, owners.iter().copied(), item);
                Ok(())
            }
            Backend::Shared(shared) => shared.remove(timeline, owners, item).await,
        }
    }

    /// Drops timelines: the next read of each builds it anew.
    pub(crate) async fn drop_timelines(&self, keys: &[Key]) -> Result<()> {
        match &self.0 {
            Backend::Memory(memory) => {
                keys.iter().for_each(|key| memory.drop_timeline(*key));
                Ok(())
            }
            Backend::Shared(shared) => shared.drop_timelines(keys).await,
        }
    }
}
