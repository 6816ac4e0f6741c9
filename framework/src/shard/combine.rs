//! Combines the changes of writers that arrive together into one transaction of each database.
//!
//! A change that finds no batch in progress begins one. While that commits, the next one fills: no change
//! waits for a timer, and the more there are, the more share a commit. A database has one batch in progress.
//! With two, batches are half as large, and those of a row that many change wait for each other's locks.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

use super::tx::Hook;
use super::{Shards, Tx, run_hooks};
use crate::error::{Error, Result};
use crate::id::Shard;

/// Maximum changes per transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 256;
/// Maximum changes that wait for one database; one more is refused.
const WAITING: usize = 4_096;

/// A service whose changes are written together.
pub(crate) trait Combine: Clone + Send + Sync + 'static {
    /// What is written.
    type Change: Send + Sync + 'static;
    /// What became of it.
    type Outcome: Send + 'static;
    /// What two changes of one batch may not have in common: they are applied one after the other.
    type Key: Eq + Hash + Send;
    /// The changes, in errors.
    const CHANGES: &'static str;

    fn shards(&self) -> &Shards;

    fn combiner(&self) -> &Combiner<Self>;

    /// The shard where the change is written.
    fn home(change: &Self::Change) -> Shard;

    /// Another shard where it is written, if the same database holds that.
    fn beside(_change: &Self::Change) -> Option<Shard> {
        None
    }

    fn key(_change: &Self::Change) -> Option<Self::Key> {
        None
    }

    /// The outcome of a change that needs a transaction of its own: it is not written.
    fn alone() -> Self::Outcome;

    /// Applies the changes, and returns the outcome of each in the same order. A shard that is not among `txs`
    /// may not be written. An error undoes all changes.
    fn apply(
        self,
        txs: BTreeMap<Shard, Tx>,
        changes: Vec<Self::Change>,
    ) -> impl Future<Output = Result<Vec<Result<Self::Outcome>>>> + Send;

    /// Waits for the batch that this change becomes a part of. It is written even if the caller is dropped.
    fn combine(&self, change: Self::Change) -> impl Future<Output = Result<Self::Outcome>> + Send {
        async move {
            let database = self.shards().database_index(Self::home(&change));
            let (answer, answered) = oneshot::channel();
            let leads = {
                let mut lane = self.combiner().lane(database);
                if lane.waiting.len() >= WAITING {
                    let (changes, name) = (Self::CHANGES, self.shards().databases()[database].name());
                    return Err(Error::overloaded(format!("too many {changes} wait for {name}; try again")));
                }
                lane.waiting.push_back(Waiting { change, answer });
                !std::mem::replace(&mut lane.is_led, true)
            };
            if leads {
                tokio::spawn(lead(self.clone(), database));
            }
            answered
                .await
                .unwrap_or_else(|_| Err(Error::unavailable("the process ended before a change was written")))
        }
    }
}

/// The changes that wait for each database, in the order of [`Shards::databases`].
pub(crate) struct Combiner<C: Combine>(Vec<Mutex<Lane<C>>>);

struct Lane<C: Combine> {
    waiting: VecDeque<Waiting<C>>,
    /// Whether a batch is in progress.
    is_led: bool,
}

struct Waiting<C: Combine> {
    change: C::Change,
    answer: oneshot::Sender<Result<C::Outcome>>,
}

impl<C: Combine> Combiner<C> {
    pub(crate) fn new(databases: usize) -> Self {
        let lane = || Lane { waiting: VecDeque::new(), is_led: false };
        Self((0..databases).map(|_| Mutex::new(lane())).collect())
    }

    fn lane(&self, database: usize) -> MutexGuard<'_, Lane<C>> {
        self.0[database].lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl<C: Combine> Lane<C> {
    /// The next batch. Several changes of one key are applied one after the other, each in its own batch.
    fn next_batch(&mut self) -> Vec<Waiting<C>> {
        let (mut keys, mut batch, mut later) = (HashSet::new(), Vec::new(), VecDeque::new());
        while batch.len() < BATCH
            && let Some(next) = self.waiting.pop_front()
        {
            let is_taken = C::key(&next.change).is_some_and(|key| !keys.insert(key));
            if is_taken { later.push_back(next) } else { batch.push(next) }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        batch
    }
}

/// The outcome of each change of a batch.
type Outcomes<C> = Vec<Result<<C as Combine>::Outcome>>;

/// A batch that is committed, or was undone.
struct Written<C: Combine> {
    answers: Vec<oneshot::Sender<Result<C::Outcome>>>,
    committed: Result<(Outcomes<C>, Vec<Hook>)>,
}

/// Writes batch after batch until no change waits.
async fn lead<C: Combine>(service: C, database: usize) {
    loop {
        // Lets those submit who are about to, as the answers to a batch make many ready at once.
        tokio::task::yield_now().await;
        let batch = {
            let mut lane = service.combiner().lane(database);
            let batch = lane.next_batch();
            if batch.is_empty() {
                lane.is_led = false;
                return;
            }
            batch
        };
        // A task of its own: a panic must not end those that follow.
        match tokio::spawn(commit(service.clone(), database, batch)).await {
            // The hooks of a commit do not keep the next one waiting.
            Ok(written) => drop(tokio::spawn(written.answer())),
            Err(error) => tracing::error!(%error, "a batch of {} was not written", C::CHANGES),
        }
    }
}

async fn commit<C: Combine>(service: C, database: usize, batch: Vec<Waiting<C>>) -> Written<C> {
    let (changes, answers): (Vec<_>, Vec<_>) =
        batch.into_iter().map(|waiting| (waiting.change, waiting.answer)).unzip();
    let is_here = |shard: &Shard| service.shards().database_index(*shard) == database;
    let beside = changes.iter().filter_map(C::beside).filter(is_here);
    let shards = changes.iter().map(C::home).chain(beside).collect();
    let writer = service.clone();
    let committed =
        service.shards().commit_each(database, shards, move |txs| writer.apply(txs, changes)).await;
    Written { answers, committed }
}

impl<C: Combine> Written<C> {
    async fn answer(self) {
        match self.committed {
            Ok((outcomes, hooks)) => {
                run_hooks(hooks).await;
                for (answer, outcome) in self.answers.into_iter().zip(outcomes) {
                    // A caller that has gone away needs no answer.
                    drop(answer.send(outcome));
                }
            }
            Err(error) => {
                let is_away = error.is_unavailable() || error.is_unconfirmed() || error.is_overloaded();
                if !is_away {
                    tracing::warn!(
                        error = error.chain(),
                        changes = self.answers.len(),
                        "a batch of {} was undone: each change is tried alone",
                        C::CHANGES
                    );
                }
                let error = Arc::new(error);
                for answer in self.answers {
                    let outcome = if is_away { Err(Error::shared(error.clone())) } else { Ok(C::alone()) };
                    drop(answer.send(outcome));
                }
            }
        }
    }
}
