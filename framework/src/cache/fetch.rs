//! What happens on a miss: Redis is asked, then whoever gets the lease asks the database.
//!
//! Redis is asked by whoever missed; what follows runs in a task of its own, or a client who hangs up
//! would leave a lease that others wait for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::flight::Loading;
use super::local::{Answer, Entry, Erased, Key, Local, What};
use super::record::{self, Known, Record};
use super::region::{Batch, Region};
use super::shared::{LEASE_MS, Lease, Leased, Loaded, Server, Shared};
use super::stats::{Level, Refusal, Stats};
use crate::error::{Error, Result};

/// How long it is remembered at most that there is no value.
const ABSENT_TTL: Duration = Duration::from_secs(60);
/// Between two looks at a key that another process loads: at first, and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));
/// Other processes' loads are waited for so long; then this one loads, too, and keeps nothing.
const PATIENCE: Duration = Duration::from_millis(3 * LEASE_MS);

/// A key to load, and the duty to do so.
type Load = (i64, Loading<Key, Answer>);

/// What may be kept of what is loaded.
#[derive(Clone)]
enum Keeping {
    /// All: no other process has it.
    Here,
    /// What the lease is still good for.
    Leased(Shared, Arc<Lease>),
    Nothing(Refusal),
}

impl<T: Send + Sync + 'static> Region<T> {
    /// Sees to it that these loads land.
    pub(super) async fn fetch(&self, loads: Vec<Load>) {
        let Some(shared) = self.cache.0.shared.clone() else { return self.begin(loads, Keeping::Here) };
        let is_told = self.cache.is_told();
        // While others could not be told what this process has changed, Redis may have what was before.
        let Some(server) = shared.server().filter(|_| is_told) else {
            return self.begin(loads, Keeping::Nothing(Refusal::Away));
        };
        let ids: Vec<i64> = loads.iter().map(|(id, _)| *id).collect();
        let there = match shared.look(&self.space, &server, &ids).await {
            Ok(there) => there,
            Err(error) => {
                tracing::debug!(error = error.chain(), "values are read from the databases");
                return self.begin(loads, Keeping::Nothing(Refusal::Away));
            }
        };
        let mut missing = Vec::new();
        for (load, there) in loads.into_iter().zip(there) {
            missing.extend(self.land_known(load, there.as_deref(), &server));
        }
        if !missing.is_empty() {
            self.stats.missed(Level::Redis, missing.len());
            let this = self.clone();
            tokio::spawn(async move { this.obtain(missing, shared, server).await });
        }
    }

    /// Lands a load whose value Redis knows; gives it back otherwise.
    fn land_known(&self, (id, loading): Load, there: Option<&[u8]>, server: &Server) -> Option<Load> {
        let now_ms = self.cache.0.clock.now_ms();
        let found = there.and_then(|there| self.decode(there, server, now_ms));
        let Some((known, entry)) = found else { return Some((id, loading)) };
        self.stats.hit(Level::Redis, now_ms.saturating_sub(known.loaded_ms));
        let stale = now_ms >= known.fresh_until_ms;
        self.land(id, loading, Ok(entry.value()), Some(entry));
        if stale {
            self.load_anew(id);
        }
        None
    }

    /// Leases keys and loads them; looks at those that others hold until they are there.
    async fn obtain(self, mut missing: Vec<Load>, shared: Shared, server: Server) {
        let lease = Arc::new(Lease::of(server));
        let (begun, mut pause) = (Instant::now(), LOOK.0);
        loop {
            let ids: Vec<i64> = missing.iter().map(|(id, _)| *id).collect();
            let now_ms = self.cache.0.clock.now_ms();
            let leased = match shared.take(&self.space, &lease, &ids, now_ms).await {
                Ok(leased) => leased,
                Err(error) => {
                    tracing::debug!(error = error.chain(), "values are read from the databases");
                    return self.begin(missing, Keeping::Nothing(Refusal::Away));
                }
            };
            let [mut granted, mut pending, mut barred, mut unreadable] = [const { Vec::new() }; 4];
            for (load, leased) in missing.into_iter().zip(leased) {
                match leased {
                    Leased::Granted => granted.push(load),
                    Leased::There(there) => match record::read(&there) {
                        Some(Record::Loading) => pending.push(load),
                        Some(Record::Barred) => barred.push(load),
                        _ => unreadable.extend(self.land_known(load, Some(&there), &lease.server)),
                    },
                }
            }
            self.begin(granted, Keeping::Leased(shared.clone(), lease.clone()));
            self.begin(barred, Keeping::Nothing(Refusal::Barred));
            self.begin(unreadable, Keeping::Nothing(Refusal::Unreadable));
            if begun.elapsed() >= PATIENCE {
                return self.begin(pending, Keeping::Nothing(Refusal::Outdated));
            }
            if pending.is_empty() {
                return;
            }
            if pause == LOOK.0 {
                Stats::count(&self.stats.waits, pending.len());
            }
            missing = pending;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK.1);
        }
    }

    /// Loads in a task of its own.
    fn begin(&self, loads: Vec<Load>, keeping: Keeping) {
        if !loads.is_empty() {
            let this = self.clone();
            tokio::spawn(async move { this.load(loads, keeping, None).await });
        }
    }

    /// Loads a value anew that is still given: `seen`, which stays if that fails, and is then tried
    /// again after a while.
    pub(super) async fn renew(self, id: i64, loading: Loading<Key, Answer>, seen: Entry) {
        let Some(shared) = self.cache.0.shared.clone() else {
            return self.load(vec![(id, loading)], Keeping::Here, Some(seen)).await;
        };
        // What can't be asked of Redis now is tried at the next read.
        let is_told = self.cache.is_told();
        let Some(server) = shared.server().filter(|_| is_told) else { return };
        let Ok(there) = shared.look(&self.space, &server, &[id]).await else { return };
        let now_ms = self.cache.0.clock.now_ms();
        let there = there.into_iter().next().flatten();
        let Some((known, entry)) = there.as_deref().and_then(|there| self.decode(there, &server, now_ms))
        else {
            if there.is_none() {
                self.obtain(vec![(id, loading)], shared, server).await;
            }
            return;
        };
        let lease = Lease::of(server);
        if now_ms < known.fresh_until_ms {
            // Somebody else has renewed it, or is at it.
            return self.land(id, loading, Ok(entry.value()), Some(entry));
        }
        match shared.renew(&self.space, &lease, id, known.head, now_ms).await {
            Ok(true) => {
                let keeping = Keeping::Leased(shared, Arc::new(lease));
                self.load(vec![(id, loading)], keeping, Some(entry)).await;
            }
            Ok(false) => {
                let entry = entry.fresh_until(now_ms + LEASE_MS);
                self.land(id, loading, Ok(entry.value()), Some(entry));
            }
            Err(error) => tracing::debug!(error = error.chain(), "a value is not renewed"),
        }
    }

    /// Asks the loader, keeps what it brings where that may be kept, and lands it. What is renewed and
    /// can't be loaded stays as it was `seen`.
    async fn load(&self, loads: Vec<Load>, keeping: Keeping, seen: Option<Entry>) {
        let ids: Vec<i64> = loads.iter().map(|(id, _)| *id).collect();
        let loaded_ms = self.cache.0.clock.now_ms();
        Stats::count(&self.stats.loads, ids.len());
        let mut answers = answers((self.load)(ids).await);
        let mut brought: Vec<Brought<T>> = Vec::with_capacity(loads.len());
        for (id, loading) in loads {
            let answer =
                answers.remove(&id).unwrap_or_else(|| Err(Arc::new(unanswered(&self.space.name, id))));
            brought.push(self.weigh(id, loading, answer, loaded_ms));
        }
        match keeping {
            Keeping::Here => {}
            Keeping::Leased(shared, lease) => self.keep(&shared, &lease, &mut brought).await,
            Keeping::Nothing(why) => brought.iter_mut().for_each(|one| self.refuse(one, why)),
        }
        for Brought { id, loading, answer, entry, .. } in brought {
            let failed = answer.is_err();
            let again = || Some(seen.clone()?.fresh_until(loaded_ms + LEASE_MS));
            let entry = if failed { again() } else { entry };
            let answer = answer.map(|value| value.map(|value| value as Erased));
            self.land(id, loading, answer, entry);
        }
    }

    /// Makes an entry of what was loaded, unless it is too large.
    fn weigh(
        &self,
        id: i64,
        loading: Loading<Key, Answer>,
        answer: Result<Option<Arc<T>>, Arc<Error>>,
        loaded_ms: u64,
    ) -> Brought<T> {
        let mut brought = Brought { id, loading, answer, json: Vec::new(), entry: None };
        let value = match &brought.answer {
            Ok(value) => value.clone(),
            Err(_) => {
                Stats::count(&self.stats.load_errors, 1);
                return brought;
            }
        };
        if let Some(value) = &value {
            match (self.codec.encode)(value) {
                Ok(json) => brought.json = json,
                Err(error) => {
                    brought.answer = Err(Arc::new(Error::internal("a value can't be cached").because(error)));
                    return brought;
                }
            }
        }
        if brought.json.len() > self.cache.0.value_bytes {
            self.stats.refuse(Refusal::TooLarge);
            return brought;
        }
        let (lifetime_ms, fresh_ms) = self.ages(value.is_some());
        brought.entry = Some(Entry {
            what: value.map_or(What::Absent, |value| What::Value(value)),
            loaded_ms,
            fresh_until_ms: loaded_ms + fresh_ms,
            dead_from_ms: loaded_ms + lifetime_ms,
            bytes: Local::weight(brought.json.len()),
        });
        brought
    }

    /// Keeps in Redis what may be kept; what is not kept there is not kept here.
    async fn keep(&self, shared: &Shared, lease: &Lease, brought: &mut [Brought<T>]) {
        let (keep, leave): (Vec<&mut Brought<T>>, Vec<_>) =
            brought.iter_mut().partition(|one| one.entry.is_some());
        let records: Vec<Loaded<'_>> = keep.iter().filter_map(|one| one.record()).collect();
        let kept = shared.keep(&self.space, lease, &records).await.unwrap_or_else(|error| {
            tracing::debug!(error = error.chain(), "values that were loaded are not kept");
            Vec::new()
        });
        for (place, one) in keep.into_iter().enumerate() {
            match kept.get(place) {
                Some(true) => {}
                Some(false) => self.refuse(one, Refusal::Outdated),
                None => self.refuse(one, Refusal::Away),
            }
        }
        let leave: Vec<i64> = leave.iter().map(|one| one.id).collect();
        if !leave.is_empty()
            && let Err(error) = shared.release(&self.space, lease, &leave).await
        {
            tracing::debug!(error = error.chain(), "leases that are of no use end by themselves");
        }
    }

    fn land(&self, id: i64, loading: Loading<Key, Answer>, answer: Answer, keep: Option<Entry>) {
        let now_ms = self.cache.0.clock.now_ms();
        if self.cache.0.local.land(loading, self.key(id), answer, keep, now_ms) {
            self.stats.refuse(Refusal::Barred);
        }
    }

    fn refuse(&self, brought: &mut Brought<T>, why: Refusal) {
        if brought.entry.take().is_some() {
            self.stats.refuse(why);
        }
    }

    /// The entry of a record of the server that answers now, unless it is too old or can't be read.
    fn decode<'r>(&self, there: &'r [u8], server: &Server, now_ms: u64) -> Option<(Known<'r>, Entry)> {
        let Some(Record::Known(known)) = record::read(there) else { return None };
        let dead_from_ms = known.loaded_ms + self.ages(known.value.is_some()).0;
        if *known.identity != **server || now_ms >= dead_from_ms {
            return None;
        }
        let (what, bytes) = match known.value {
            Some(json) => (What::Value(Arc::new((self.codec.decode)(json).ok()?)), json.len()),
            None => (What::Absent, 0),
        };
        let Known { loaded_ms, fresh_until_ms, .. } = known;
        let bytes = Local::weight(bytes);
        Some((known, Entry { what, loaded_ms, fresh_until_ms, dead_from_ms, bytes }))
    }

    /// How long something lives, and how long of that it is fresh: half, and a little less at random,
    /// so that what was loaded together is not all loaded anew together.
    fn ages(&self, is_value: bool) -> (u64, u64) {
        let ttl = if is_value { self.space.ttl } else { self.space.ttl.min(ABSENT_TTL) };
        let lifetime_ms = ttl.as_millis() as u64;
        let half = lifetime_ms / 2;
        (lifetime_ms, half - rand::random_range(0..=half / 10))
    }
}

/// A load's end.
struct Brought<T> {
    id: i64,
    loading: Loading<Key, Answer>,
    answer: Result<Option<Arc<T>>, Arc<Error>>,
    json: Vec<u8>,
    /// What is kept.
    entry: Option<Entry>,
}

impl<T> Brought<T> {
    fn record(&self) -> Option<Loaded<'_>> {
        let entry = self.entry.as_ref()?;
        Some(Loaded {
            id: self.id,
            loaded_ms: entry.loaded_ms,
            fresh_until_ms: entry.fresh_until_ms,
            lifetime_ms: entry.dead_from_ms - entry.loaded_ms,
            value: matches!(entry.what, What::Value(_)).then_some(self.json.as_slice()),
        })
    }
}

/// What the databases said of each id.
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
