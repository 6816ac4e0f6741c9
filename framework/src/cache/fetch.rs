//! What happens on a miss: look in Redis, then take a lease and load from the database.
//!
//! The Redis lookup runs in the task that missed. The rest runs in a task of its own: otherwise a client
//! that hangs up would leave behind a lease that others wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Answer, Entry, EntryState, Erased, Key};
use super::flight::Loading;
use super::record::{self, Record, StoredEntry};
use super::region::{Batch, Region};
use super::shared::{LEASE_MS, Lease, LeaseReply, LoadedEntry, Server, Shared};
use super::stats::{Level, Refusal, Stats};
use crate::error::{Error, Result};

/// How long the absence of a value is cached at most.
const ABSENT_TTL: Duration = Duration::from_secs(60);
/// The shortest and the longest pause between two polls of a key that another process is loading.
const POLL_INTERVAL: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// How long to wait for another process's load. After that this process loads too, and stores nothing.
const MAX_WAIT: Duration = Duration::from_millis(3 * LEASE_MS);

/// A key to load, and the obligation to complete its load.
type Load = (i64, Loading<Key, Answer>);

/// Where a loaded value may be stored.
#[derive(Clone)]
enum StorePolicy {
    /// In this process, the only one.
    Local,
    /// In Redis and in this process, if the lease is still valid.
    Leased(Shared, Arc<Lease>),
    /// Nowhere.
    Discard(Refusal),
}

impl<T: Send + Sync + 'static> Region<T> {
    /// Completes these loads, from Redis if possible.
    pub(super) async fn fetch(&self, loads: Vec<Load>) {
        let Some(shared) = self.cache.0.shared.clone() else {
            return self.spawn_load(loads, StorePolicy::Local);
        };
        let is_published = !self.cache.has_pending_invalidations();
        // Redis may hold old values until this process's own changes are published.
        let Some(server) = shared.server().filter(|_| is_published) else {
            return self.spawn_load(loads, StorePolicy::Discard(Refusal::RedisUnavailable));
        };
        let ids: Vec<i64> = loads.iter().map(|(id, _)| *id).collect();
        let there = match shared.get_many(&self.namespace, &server, &ids).await {
            Ok(there) => there,
            Err(error) => {
                tracing::debug!(error = error.chain(), "values are read from the databases");
                return self.spawn_load(loads, StorePolicy::Discard(Refusal::RedisUnavailable));
            }
        };
        let mut missing = Vec::new();
        for (load, there) in loads.into_iter().zip(there) {
            missing.extend(self.complete_from_redis(load, there.as_deref(), &server));
        }
        if !missing.is_empty() {
            self.stats.missed(Level::Redis, missing.len());
            let this = self.clone();
            tokio::spawn(async move { this.lease_and_load(missing, shared, server).await });
        }
    }

    /// Completes a load whose value is in Redis; otherwise returns the load.
    fn complete_from_redis(
        &self,
        (id, loading): Load,
        there: Option<&[u8]>,
        server: &Server,
    ) -> Option<Load> {
        let now_ms = self.cache.0.clock.now_ms();
        let found = there.and_then(|there| self.decode(there, server, now_ms));
        let Some((stored, entry)) = found else { return Some((id, loading)) };
        self.stats.hit(Level::Redis, now_ms.saturating_sub(stored.loaded_ms));
        let stale = now_ms >= stored.fresh_until_ms;
        self.complete(id, loading, Ok(entry.value()), Some(entry));
        if stale {
            self.start_refresh(id);
        }
        None
    }

    /// Leases keys and loads them. Polls the keys that others have leased until their values are there.
    async fn lease_and_load(self, mut missing: Vec<Load>, shared: Shared, server: Server) {
        let lease = Arc::new(Lease::of(server));
        let (begun, mut pause) = (Instant::now(), POLL_INTERVAL.0);
        loop {
            let ids: Vec<i64> = missing.iter().map(|(id, _)| *id).collect();
            let now_ms = self.cache.0.clock.now_ms();
            let leased = match shared.lease(&self.namespace, &lease, &ids, now_ms).await {
                Ok(leased) => leased,
                Err(error) => {
                    tracing::debug!(error = error.chain(), "values are read from the databases");
                    return self.spawn_load(missing, StorePolicy::Discard(Refusal::RedisUnavailable));
                }
            };
            let [mut granted, mut pending, mut blocked, mut unreadable] = [const { Vec::new() }; 4];
            for (load, leased) in missing.into_iter().zip(leased) {
                match leased {
                    LeaseReply::Granted => granted.push(load),
                    LeaseReply::Found(there) => match record::read(&there) {
                        Some(Record::Loading) => pending.push(load),
                        Some(Record::Blocked) => blocked.push(load),
                        _ => unreadable.extend(self.complete_from_redis(load, Some(&there), &lease.server)),
                    },
                }
            }
            self.spawn_load(granted, StorePolicy::Leased(shared.clone(), lease.clone()));
            self.spawn_load(blocked, StorePolicy::Discard(Refusal::Blocked));
            self.spawn_load(unreadable, StorePolicy::Discard(Refusal::Unreadable));
            if begun.elapsed() >= MAX_WAIT {
                return self.spawn_load(pending, StorePolicy::Discard(Refusal::Outdated));
            }
            if pending.is_empty() {
                return;
            }
            if pause == POLL_INTERVAL.0 {
                Stats::count(&self.stats.waits, pending.len());
            }
            missing = pending;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_INTERVAL.1);
        }
    }

    /// Loads in a separate task.
    fn spawn_load(&self, loads: Vec<Load>, policy: StorePolicy) {
        if !loads.is_empty() {
            let this = self.clone();
            tokio::spawn(async move { this.load(loads, policy, None).await });
        }
    }

    /// Reloads a value that is still served. If that fails, the old value (`seen`) stays and the reload
    /// is retried a while later.
    pub(super) async fn refresh(self, id: i64, loading: Loading<Key, Answer>, seen: Entry) {
        let Some(shared) = self.cache.0.shared.clone() else {
            return self.load(vec![(id, loading)], StorePolicy::Local, Some(seen)).await;
        };
        // If Redis is unavailable, the next read tries again.
        let is_published = !self.cache.has_pending_invalidations();
        let Some(server) = shared.server().filter(|_| is_published) else { return };
        let Ok(there) = shared.get_many(&self.namespace, &server, &[id]).await else { return };
        let now_ms = self.cache.0.clock.now_ms();
        let there = there.into_iter().next().flatten();
        let Some((stored, entry)) = there.as_deref().and_then(|there| self.decode(there, &server, now_ms))
        else {
            if there.is_none() {
                self.lease_and_load(vec![(id, loading)], shared, server).await;
            }
            return;
        };
        let lease = Lease::of(server);
        if now_ms < stored.fresh_until_ms {
            // Another process has refreshed it, or is refreshing it.
            return self.complete(id, loading, Ok(entry.value()), Some(entry));
        }
        match shared.refresh(&self.namespace, &lease, id, stored.head, now_ms).await {
            Ok(true) => {
                let policy = StorePolicy::Leased(shared, Arc::new(lease));
                self.load(vec![(id, loading)], policy, Some(entry)).await;
            }
            Ok(false) => {
                let entry = entry.fresh_until(now_ms + LEASE_MS);
                self.complete(id, loading, Ok(entry.value()), Some(entry));
            }
            Err(error) => tracing::debug!(error = error.chain(), "a value is not refreshed"),
        }
    }

    /// Calls the loader, stores the values if the policy allows it, and completes the loads. When a
    /// refresh fails, the entry `seen` stays.
    async fn load(&self, loads: Vec<Load>, policy: StorePolicy, seen: Option<Entry>) {
        let ids: Vec<i64> = loads.iter().map(|(id, _)| *id).collect();
        let loaded_ms = self.cache.0.clock.now_ms();
        Stats::count(&self.stats.loads, ids.len());
        let mut answers = answers((self.load)(ids).await);
        let mut outcomes: Vec<LoadOutcome<T>> = Vec::with_capacity(loads.len());
        for (id, loading) in loads {
            let answer =
                answers.remove(&id).unwrap_or_else(|| Err(Arc::new(unanswered(&self.namespace.name, id))));
            outcomes.push(self.outcome(id, loading, answer, loaded_ms));
        }
        match policy {
            StorePolicy::Local => {}
            StorePolicy::Leased(shared, lease) => self.store(&shared, &lease, &mut outcomes).await,
            StorePolicy::Discard(why) => outcomes.iter_mut().for_each(|outcome| self.refuse(outcome, why)),
        }
        for LoadOutcome { id, loading, answer, entry, .. } in outcomes {
            let failed = answer.is_err();
            let again = || Some(seen.clone()?.fresh_until(loaded_ms + LEASE_MS));
            let entry = if failed { again() } else { entry };
            let answer = answer.map(|value| value.map(|value| value as Erased));
            self.complete(id, loading, answer, entry);
        }
    }

    /// Makes an entry from a loaded value, unless the value is too large.
    fn outcome(
        &self,
        id: i64,
        loading: Loading<Key, Answer>,
        answer: Result<Option<Arc<T>>, Arc<Error>>,
        loaded_ms: u64,
    ) -> LoadOutcome<T> {
        let mut outcome = LoadOutcome { id, loading, answer, json: Vec::new(), entry: None };
        let value = match &outcome.answer {
            Ok(value) => value.clone(),
            Err(_) => {
                Stats::count(&self.stats.load_errors, 1);
                return outcome;
            }
        };
        if let Some(value) = &value {
            match (self.codec.encode)(value) {
                Ok(json) => outcome.json = json,
                Err(error) => {
                    outcome.answer = Err(Arc::new(Error::internal("a value can't be cached").because(error)));
                    return outcome;
                }
            }
        }
        if outcome.json.len() > self.cache.0.value_bytes {
            self.stats.refuse(Refusal::TooLarge);
            return outcome;
        }
        let (lifetime_ms, fresh_ms) = self.ages(value.is_some());
        outcome.entry = Some(Entry {
            state: value.map_or(EntryState::Absent, |value| EntryState::Value(value)),
            loaded_ms,
            fresh_until_ms: loaded_ms + fresh_ms,
            expires_ms: loaded_ms + lifetime_ms,
            bytes: (self.codec.weight)(outcome.json.len()),
        });
        outcome
    }

    /// Stores what it may in Redis. A value that is not stored there is not stored in this process
    /// either.
    async fn store(&self, shared: &Shared, lease: &Lease, outcomes: &mut [LoadOutcome<T>]) {
        let (to_store, to_release): (Vec<&mut LoadOutcome<T>>, Vec<_>) =
            outcomes.iter_mut().partition(|outcome| outcome.entry.is_some());
        let entries: Vec<LoadedEntry<'_>> =
            to_store.iter().filter_map(|outcome| outcome.to_store()).collect();
        let stored = shared.store(&self.namespace, lease, &entries).await.unwrap_or_else(|error| {
            tracing::debug!(error = error.chain(), "values that were loaded are not stored");
            Vec::new()
        });
        for (place, outcome) in to_store.into_iter().enumerate() {
            match stored.get(place) {
                Some(true) => {}
                Some(false) => self.refuse(outcome, Refusal::Outdated),
                None => self.refuse(outcome, Refusal::RedisUnavailable),
            }
        }
        let to_release: Vec<i64> = to_release.iter().map(|outcome| outcome.id).collect();
        if !to_release.is_empty()
            && let Err(error) = shared.release(&self.namespace, lease, &to_release).await
        {
            tracing::debug!(error = error.chain(), "leases that are of no use end by themselves");
        }
    }

    fn complete(&self, id: i64, loading: Loading<Key, Answer>, answer: Answer, store: Option<Entry>) {
        let now_ms = self.cache.0.clock.now_ms();
        if self.cache.0.local.complete(loading, self.key(id), answer, store, now_ms) {
            self.stats.refuse(Refusal::Blocked);
        }
    }

    fn refuse(&self, outcome: &mut LoadOutcome<T>, why: Refusal) {
        if outcome.entry.take().is_some() {
            self.stats.refuse(why);
        }
    }

    /// The entry in a record, if the record was written on the current server, has not expired and can
    /// be decoded.
    fn decode<'r>(&self, there: &'r [u8], server: &Server, now_ms: u64) -> Option<(StoredEntry<'r>, Entry)> {
        let Some(Record::Entry(stored)) = record::read(there) else { return None };
        let expires_ms = stored.loaded_ms + self.ages(stored.value.is_some()).0;
        if *stored.identity != **server || now_ms >= expires_ms {
            return None;
        }
        let (state, bytes) = match stored.value {
            Some(json) => (EntryState::Value(Arc::new((self.codec.decode)(json).ok()?)), json.len()),
            None => (EntryState::Absent, 0),
        };
        let StoredEntry { loaded_ms, fresh_until_ms, .. } = stored;
        let bytes = (self.codec.weight)(bytes);
        Some((stored, Entry { state, loaded_ms, fresh_until_ms, expires_ms, bytes }))
    }

    /// How long an entry lives and how long it stays fresh: half its lifetime minus a random jitter, so
    /// that values loaded together are not all reloaded together.
    fn ages(&self, is_value: bool) -> (u64, u64) {
        let ttl = if is_value { self.namespace.ttl } else { self.namespace.ttl.min(ABSENT_TTL) };
        let lifetime_ms = ttl.as_millis() as u64;
        let half = lifetime_ms / 2;
        (lifetime_ms, half - rand::random_range(0..=half / 10))
    }
}

/// The outcome of a load.
struct LoadOutcome<T> {
    id: i64,
    loading: Loading<Key, Answer>,
    answer: Result<Option<Arc<T>>, Arc<Error>>,
    json: Vec<u8>,
    /// The entry to store.
    entry: Option<Entry>,
}

impl<T> LoadOutcome<T> {
    fn to_store(&self) -> Option<LoadedEntry<'_>> {
        let entry = self.entry.as_ref()?;
        Some(LoadedEntry {
            id: self.id,
            loaded_ms: entry.loaded_ms,
            fresh_until_ms: entry.fresh_until_ms,
            lifetime_ms: entry.expires_ms - entry.loaded_ms,
            value: matches!(entry.state, EntryState::Value(_)).then_some(self.json.as_slice()),
        })
    }
}

/// The loader's answer for each id.
fn answers<T>(batches: Vec<Batch<T>>) -> HashMap<i64, Result<Option<Arc<T>>, Arc<Error>>> {
    let mut answers = HashMap::new();
    for Batch { asked, found } in batches {
        match found {
            Ok(found) => {
                answers.extend(asked.into_iter().map(|id| (id, Ok(None))));
                answers.extend(found.into_iter().map(|(id, value)| (id, Ok(Some(Arc::new(value))))));
            }
            Err(error) => {
                let error = Arc::new(error);
                answers.extend(asked.into_iter().map(|id| (id, Err(error.clone()))));
            }
        }
    }
    answers
}

fn unanswered(region: &str, id: i64) -> Error {
    Error::internal(format!("the loader of {region} said nothing of id {id}"))
}
