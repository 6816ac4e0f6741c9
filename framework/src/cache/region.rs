//! A region: the cached values of one type, each under an id, and the loader that reads them.

use std::sync::Arc;

use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::cached::Codec;
use super::entry::{Answer, Entry, EntryState, Erased, Key};
use super::flight::{Turn, Waiting};
use super::listener::COHERENCE_MS;
use super::shared::Namespace;
use super::stats::{Hits, Level, Stats};
use super::{Cache, Cached, RegionConfig};
use crate::error::{Error, Result};

/// One database's answer to a request for ids. Ids without a value are left out.
pub struct Batch<T> {
    /// The ids requested.
    pub asked: Vec<i64>,
    /// The values found, or the error.
    pub found: Result<Vec<(i64, T)>>,
}

/// Reads values from the databases that hold them, from primaries only.
type Load<T> = dyn Fn(Vec<i64>) -> BoxFuture<'static, Vec<Batch<T>>> + Send + Sync;

/// The handle on a region; clones share everything.
pub struct Region<T> {
    pub(super) cache: Cache,
    pub(super) number: u32,
    pub(super) namespace: Arc<Namespace>,
    pub(super) stats: Arc<Stats>,
    pub(super) load: Arc<Load<T>>,
    pub(super) codec: Codec<T>,
}

impl<T> Clone for Region<T> {
    fn clone(&self) -> Self {
        Self {
            cache: self.cache.clone(),
            number: self.number,
            namespace: self.namespace.clone(),
            stats: self.stats.clone(),
            load: self.load.clone(),
            codec: self.codec,
        }
    }
}

/// How often a read starts over when the task that loaded for it was dropped.
const MAX_ATTEMPTS: usize = 4;

impl<T: Serialize + DeserializeOwned + Send + Sync + 'static> Region<T> {
    /// Creates a region. `load` is called with many ids at once and returns the answer of each database.
    /// An id that is in no batch is an error for its readers.
    ///
    /// # Panics
    /// When a region of this name exists.
    pub fn new<F>(
        cache: &Cache,
        config: RegionConfig,
        load: impl Fn(Vec<i64>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<Batch<T>>> + Send + 'static,
    {
        let codec = Codec {
            encode: |value| serde_json::to_vec(value),
            decode: |json| serde_json::from_slice(json),
            weight: Entry::weight,
        };
        Self::with_codec(cache, config, codec, load)
    }
}

impl<T: Cached> Region<T> {
    /// Creates the region of a cached type; see [`Self::new`].
    ///
    /// # Panics
    /// When a region of its name exists.
    pub fn of_cached<F>(cache: &Cache, load: impl Fn(Vec<i64>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Vec<Batch<T>>> + Send + 'static,
    {
        Self::with_codec(cache, RegionConfig::of::<T>(), Codec::of_cached(), load)
    }
}

impl<T: Send + Sync + 'static> Region<T> {
    fn with_codec<F>(
        cache: &Cache,
        config: RegionConfig,
        codec: Codec<T>,
        load: impl Fn(Vec<i64>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<Batch<T>>> + Send + 'static,
    {
        let RegionConfig { name, version, ttl } = config;
        let number = cache.0.add_region(&name);
        Self {
            number,
            stats: cache.0.stats.of(number),
            cache: cache.clone(),
            namespace: Arc::new(Namespace { name, version, ttl }),
            load: Arc::new(move |ids| Box::pin(load(ids))),
            codec,
        }
    }

    /// The value of an id, if there is one.
    ///
    /// # Errors
    /// Those of the loader.
    pub async fn get(&self, id: i64) -> Result<Option<Arc<T>>> {
        let mut hits = Hits::default();
        let value = self.get_local(id, self.cache.0.clock.now_ms(), &mut hits);
        self.stats.hits(Level::Process, &hits);
        if let Some(value) = value {
            return Ok(value);
        }
        self.read(&[id]).await.pop().unwrap_or(Ok(None))
    }

    /// The values of ids, in order. Ids that are not in this process are looked up in Redis together,
    /// and those that are not in Redis are loaded together.
    ///
    /// # Errors
    /// The first error of the loader.
    pub async fn get_many(&self, ids: &[i64]) -> Result<Vec<Option<Arc<T>>>> {
        self.get_each(ids).await.into_iter().collect()
    }

    /// [`Self::get_many`], with each id's own error.
    pub async fn get_each(&self, ids: &[i64]) -> Vec<Result<Option<Arc<T>>>> {
        let (now_ms, mut hits) = (self.cache.0.clock.now_ms(), Hits::default());
        let mut all: Vec<Option<Result<Option<Arc<T>>>>> =
            ids.iter().map(|id| self.get_local(*id, now_ms, &mut hits).map(Ok)).collect();
        self.stats.hits(Level::Process, &hits);
        let missing: Vec<i64> =
            ids.iter().zip(&all).filter(|(_, value)| value.is_none()).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            let mut read = self.read(&missing).await.into_iter();
            all.iter_mut().filter(|value| value.is_none()).for_each(|value| *value = read.next());
        }
        all.into_iter().map(|value| value.unwrap_or(Ok(None))).collect()
    }

    /// The value from the first level, if that is coherent.
    fn get_local(&self, id: i64, now_ms: u64, hits: &mut Hits) -> Option<Option<Arc<T>>> {
        if !self.cache.0.is_coherent(now_ms) {
            return None;
        }
        let entry = self.cache.0.local.get(self.key(id), now_ms)?;
        let (loaded_ms, fresh_until_ms) = (entry.loaded_ms, entry.fresh_until_ms);
        let value = match entry.state {
            EntryState::Value(value) => Some(value.downcast().ok()?),
            EntryState::Absent => None,
            EntryState::Blocked(_) => return None,
        };
        hits.add(now_ms.saturating_sub(loaded_ms));
        if now_ms >= fresh_until_ms {
            self.start_refresh(id);
        }
        Some(value)
    }

    /// Starts one reload of a value that is still served.
    #[cold]
    pub(super) fn start_refresh(&self, id: i64) {
        Stats::count(&self.stats.stale, 1);
        let key = self.key(id);
        let mut seen = None;
        // Read under the flight's lock: a later change makes the flight be forgotten.
        let lookup = || {
            seen =
                self.cache.0.local.get(key, 0).filter(|entry| !matches!(entry.state, EntryState::Blocked(_)));
            None
        };
        let now_ms = self.cache.0.clock.now_ms();
        if let Turn::Load(loading) = self.cache.0.local.join(key, (now_ms, 0), lookup)
            && let Some(seen) = seen
        {
            tokio::spawn(self.clone().refresh(id, loading, seen));
        }
    }

    /// Reads ids that the first level does not have.
    async fn read(&self, ids: &[i64]) -> Vec<Result<Option<Arc<T>>>> {
        self.stats.missed(Level::Process, ids.len());
        let mut answers: Vec<Option<Answer>> = vec![None; ids.len()];
        for _ in 0..MAX_ATTEMPTS {
            let mut loads = Vec::new();
            let mut waits: Vec<(usize, Waiting<Answer>)> = Vec::new();
            let now_ms = self.cache.0.clock.now_ms();
            // An incoherent process can't tell what has changed since a load began, so it joins only
            // recent loads.
            let since_ms =
                if self.cache.0.is_coherent(now_ms) { 0 } else { now_ms.saturating_sub(COHERENCE_MS) };
            for (place, id) in ids.iter().enumerate() {
                if answers[place].is_some() {
                    continue;
                }
                let key = self.key(*id);
                // Another reader may have loaded it meanwhile.
                match self.cache.0.local.join(key, (now_ms, since_ms), || self.stored(key, now_ms)) {
                    Turn::Found(answer) => answers[place] = Some(answer),
                    Turn::Load(loading) => {
                        waits.push((place, loading.waiting()));
                        loads.push((*id, loading));
                    }
                    Turn::Wait(waiting) => waits.push((place, waiting)),
                }
            }
            if !loads.is_empty() {
                self.fetch(loads).await;
            }
            if waits.is_empty() {
                break;
            }
            for (place, waiting) in waits {
                answers[place] = waiting.await;
            }
        }
        answers.into_iter().map(typed).collect()
    }

    /// What a flight has stored, if the first level is coherent.
    fn stored(&self, key: Key, now_ms: u64) -> Option<Answer> {
        let Entry { state, .. } =
            self.cache.0.local.get(key, now_ms).filter(|_| self.cache.0.is_coherent(now_ms))?;
        match state {
            EntryState::Value(value) => Some(Ok(Some(value))),
            EntryState::Absent => Some(Ok(None)),
            EntryState::Blocked(_) => None,
        }
    }

    pub(super) fn key(&self, id: i64) -> Key {
        Key { region: self.number, id }
    }
}

fn typed<T: Send + Sync + 'static>(answer: Option<Answer>) -> Result<Option<Arc<T>>> {
    let erased: Option<Erased> = match answer {
        Some(Ok(erased)) => erased,
        Some(Err(error)) => return Err(Error::shared(error)),
        None => return Err(Error::unavailable("those who loaded a value went away; try again")),
    };
    match erased.map(|value| value.downcast::<T>()) {
        None => Ok(None),
        Some(Ok(value)) => Ok(Some(value)),
        Some(Err(_)) => Err(Error::internal("a region of the cache holds a value of another type")),
    }
}
