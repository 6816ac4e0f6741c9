//! Where timelines are kept ready: in this process, or in Redis for all processes.

use super::memory::Memory;
use super::page::{Key, TimelinePage};
use super::pulled::SharedVersion;
use super::redis::Shared;
use crate::cache::Cache;
use crate::error::Result;
use crate::shard::Consistency;

/// Timelines kept ready, in either backend.
pub(crate) struct Store(Backend);

enum Backend {
    Memory(Memory),
    Shared(Shared),
}

impl Store {
    /// Timelines with these names and of this length: in Redis, where the version of the pulled authors
    /// is, or else in this process within `cache_bytes`.
    pub(crate) fn new(
        shared: Option<SharedVersion>,
        cache: &Cache,
        names: &[&'static str],
        length: usize,
        cache_bytes: u64,
    ) -> Self {
        match shared {
            Some(shared) => Self(Backend::Shared(Shared::new(shared, cache, names, length))),
            None => Self(Backend::Memory(Memory::new(length, cache_bytes, cache.generation().clone()))),
        }
    }

    /// The part of a timeline below `before`. `build` reads up to the given number of newest items from
    /// the shards, and is called when the timeline is not ready.
    pub(crate) async fn read(
        &self,
        key: Key,
        before: i64,
        limit: usize,
        consistency: Consistency,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        match &self.0 {
            Backend::Memory(memory) => memory.read(key, before, limit, build).await,
            Backend::Shared(shared) => shared.read(key, before, limit, consistency, build).await,
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

    /// Removes an item from those of these timelines that are ready.
    pub(crate) async fn remove(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        match &self.0 {
            Backend::Memory(memory) => {
                memory.remove(timeline, owners.iter().copied(), item);
                Ok(())
            }
            Backend::Shared(shared) => shared.remove(timeline, owners, item).await,
        }
    }

    /// Drops these timelines: the next read of each rebuilds it.
    pub(crate) async fn drop_timelines(&self, timeline: &'static str, owners: &[i64]) -> Result<()> {
        match &self.0 {
            Backend::Memory(memory) => {
                owners.iter().for_each(|owner| memory.drop_timeline((timeline, *owner)));
                Ok(())
            }
            Backend::Shared(shared) => shared.drop_timelines(timeline, owners).await,
        }
    }
}
