//! A near cache: this process's copies of values that another module keeps in Redis.
//!
//! Its module reads the values from Redis and invalidates the copies after each change. A copy is in the
//! first level, and as coherent as all of it: at most 100 ms stale, and never older than what this process
//! has written.

use std::marker::PhantomData;
use std::sync::Arc;

use super::Cache;
use super::entry::{Answer, Entry, EntryState, Key};
use super::flight::{Loading, Turn};
use super::stats::{Hits, Level, Stats};
use crate::error::Result;

/// How long a copy is served at most, if no invalidation arrives.
const TTL_MS: u64 = 60_000;

/// The copies of one kind of value; clones share everything.
pub(crate) struct NearCache<T> {
    cache: Cache,
    name: Arc<str>,
    number: u32,
    stats: Arc<Stats>,
    values: PhantomData<fn() -> T>,
}

impl<T> Clone for NearCache<T> {
    fn clone(&self) -> Self {
        let Self { cache, name, number, stats, .. } = self;
        let (cache, name, stats) = (cache.clone(), name.clone(), stats.clone());
        Self { cache, name, number: *number, stats, values: PhantomData }
    }
}

impl<T: Send + Sync + 'static> NearCache<T> {
    /// Adds a region of this name to the first level.
    ///
    /// # Panics
    /// When a region of this name exists.
    pub(crate) fn new(cache: &Cache, name: &str) -> Self {
        let number = cache.0.add_region(name);
        let stats = cache.0.stats.of(number);
        Self { cache: cache.clone(), name: name.into(), number, stats, values: PhantomData }
    }

    /// The copy of an id's value, if there is one and the first level is coherent.
    pub(crate) fn get(&self, id: i64) -> Option<Arc<T>> {
        let now_ms = self.cache.0.clock.now_ms();
        let entry =
            self.cache.0.is_coherent(now_ms).then(|| self.cache.0.local.get(self.key(id), now_ms)).flatten();
        let found = entry.as_ref().and_then(|entry| entry.value()?.downcast().ok());
        match (&entry, &found) {
            (Some(entry), Some(_)) => {
                let mut hits = Hits::default();
                hits.add(now_ms.saturating_sub(entry.loaded_ms));
                self.stats.hits(Level::Process, &hits);
            }
            _ => self.stats.missed(Level::Process, 1),
        }
        found
    }

    /// Begins to copy an id's value; call it before reading the value. `None` while another reader does.
    pub(crate) fn begin_fill(&self, id: i64) -> Option<Fill<T>> {
        let (key, now_ms) = (self.key(id), self.cache.0.clock.now_ms());
        match self.cache.0.local.join(key, (now_ms, 0), || None) {
            Turn::Load(loading) => Some(Fill { near: self.clone(), key, loading, now_ms }),
            Turn::Found(_) | Turn::Wait(_) => None,
        }
    }

    /// Drops this process's copies and makes the other processes drop theirs. Call it after a change of
    /// the values, even of unknown outcome.
    ///
    /// # Errors
    /// Unavailable: the other processes may not have been told. Repeat it.
    pub(crate) async fn invalidate(&self, ids: &[i64]) -> Result<()> {
        Stats::count(&self.stats.changes, ids.len());
        ids.iter().for_each(|id| self.cache.0.local.drop_key(self.key(*id)));
        match &self.cache.0.shared {
            Some(shared) if !ids.is_empty() => shared.publish_changed(&self.name, ids).await,
            _ => Ok(()),
        }
    }

    fn key(&self, id: i64) -> Key {
        Key { region: self.number, id }
    }
}

/// A value that is being read, to be copied unless it changes meanwhile.
pub(crate) struct Fill<T> {
    near: NearCache<T>,
    key: Key,
    loading: Loading<Key, Answer>,
    now_ms: u64,
}

impl<T: Send + Sync + 'static> Fill<T> {
    /// Stores a copy of the value that was read. `bytes` is its size.
    pub(crate) fn store(self, value: T, bytes: usize) {
        let (local, expires_ms) = (&self.near.cache.0.local, self.now_ms + TTL_MS);
        let state = EntryState::Value(Arc::new(value));
        let bytes = Entry::weight(bytes);
        let entry = Entry { state, loaded_ms: self.now_ms, fresh_until_ms: expires_ms, expires_ms, bytes };
        local.complete(self.loading, self.key, Ok(entry.value()), Some(entry), self.now_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config;
    use crate::id::{Clock, EPOCH_MS};
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn a_copy_lasts_until_its_value_changes_or_a_minute_passes() {
        let (clock, metrics) = (Clock::manual(EPOCH_MS), Metrics::default());
        let settings = config::Cache { memory_bytes: 1 << 20, value_bytes: 1 << 10 };
        let cache = Cache::open(None, clock.clone(), &settings, &metrics).unwrap();
        let near = NearCache::<i32>::new(&cache, "numbers");
        let get = |id| near.get(id).map(|value| *value);
        let fill = |id, value| near.begin_fill(id).expect("nobody else reads it").store(value, 4);

        fill(1, 10);
        fill(2, 20);
        assert_eq!((get(1), get(2), get(3)), (Some(10), Some(20), None));
        near.invalidate(&[1]).await.unwrap();
        assert_eq!((get(1), get(2)), (None, Some(20)));

        let late = near.begin_fill(1).unwrap();
        assert!(near.begin_fill(1).is_none(), "two readers copy one value");
        near.invalidate(&[1]).await.unwrap();
        let later = near.begin_fill(1).expect("a read of the new value");
        late.store(10, 4);
        assert_eq!(get(1), None, "a value that was read before its change was stored after it");
        later.store(11, 4);
        assert_eq!(get(1), Some(11));

        drop(near.begin_fill(3));
        fill(3, 30);
        assert_eq!(get(3), Some(30), "a read that failed prevents the next");
        clock.advance(Duration::from_millis(TTL_MS));
        assert_eq!((get(1), get(2)), (None, None));
    }
}
