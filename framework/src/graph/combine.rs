//! Combines the changes of edges that arrive together into one transaction of each database.
//!
//! A change that finds no batch in progress begins one. While that commits, the next one fills: no change
//! waits for a timer, and the more there are, the more share a commit. Two batches of a database may be in
//! progress, so that one is filled and checked while the other becomes durable; locks order them.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::sync::oneshot;

use super::batch;
use super::edge::EdgeKind;
use super::inverse::WriteInverse;
use super::table::{Direction, End};
use super::{Graph, edge::FarEnd};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::queue::JobId;

/// Maximum changes per transaction: bounds how long the first of them waits for the last.
const BATCH: usize = 256;
/// Batches of one database in progress.
const IN_PROGRESS: usize = 2;
/// Maximum changes that wait for one database; one more is refused.
const WAITING: usize = 4_096;

/// A change that is written together with others.
pub(super) enum Change {
    /// Of a forward edge, and of its inverse edge if the same database holds that.
    Forward { near: End, live: bool },
    /// Brings an inverse edge to a version of its forward edge, which was committed at `begun`.
    Inverse { far: End, live: bool, version: i64, begun: Instant },
    /// Cancels the job of an inverse edge that is written.
    Cancel(JobId),
}

/// What became of a change.
pub(super) enum Outcome {
    /// The edge was as wanted already; or an inverse edge is written, or a job cancelled.
    Unchanged,
    /// A forward edge has changed.
    Changed(Changed),
    /// It needs a transaction of its own.
    Alone,
}

/// A forward edge that has changed, and what is left to do.
pub(super) struct Changed {
    pub(super) change: WriteInverse,
    /// The job that does what is left; `None` if nothing is left.
    pub(super) job: Option<JobId>,
    pub(super) is_inverse_written: bool,
}

struct Waiting {
    change: Change,
    answer: oneshot::Sender<Result<Outcome>>,
}

/// The changes that wait for each database, in the order of [`crate::shard::Shards::databases`].
pub(super) struct Combiner(Vec<Mutex<Lane>>);

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Waiting>,
    in_progress: usize,
}

impl Change {
    /// An id on the shard where the change is written.
    pub(super) fn shard_id(&self) -> i64 {
        match self {
            Self::Forward { near, .. } => near.near,
            Self::Inverse { far, .. } => far.near,
            Self::Cancel(job) => job.raw(),
        }
    }

    /// The edge: its kind and its ends.
    fn edge(&self) -> Option<(&'static str, (i64, i64))> {
        match self {
            Self::Forward { near: end, .. } | Self::Inverse { far: end, .. } => Some((end.kind, end.ends())),
            Self::Cancel(_) => None,
        }
    }
}

impl Combiner {
    pub(super) fn new(databases: usize) -> Self {
        Self((0..databases).map(|_| Mutex::default()).collect())
    }

    fn lane(&self, database: usize) -> MutexGuard<'_, Lane> {
        self.0[database].lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

impl Lane {
    /// The next batch. Several changes of one edge are applied one after the other, each in its own batch.
    fn next_batch(&mut self) -> Vec<Waiting> {
        let (mut edges, mut batch, mut later) = (HashSet::new(), Vec::new(), VecDeque::new());
        while batch.len() < BATCH
            && let Some(next) = self.waiting.pop_front()
        {
            match next.change.edge() {
                Some(edge) if !edges.insert(edge) => later.push_back(next),
                _ => batch.push(next),
            }
        }
        later.append(&mut self.waiting);
        self.waiting = later;
        batch
    }
}

impl Graph {
    /// Changes a forward edge together with other changes.
    pub(super) async fn change_together(&self, kind: EdgeKind, near: End, live: bool) -> Result<Outcome> {
        debug_assert_eq!((kind.name, near.direction), (near.kind, Direction::Out));
        if self.takes_turns(kind) {
            return Ok(Outcome::Alone);
        }
        self.submit(Change::Forward { near, live }).await
    }

    /// As [`Graph::write_inverse`], together with other changes, once the forward edge is committed.
    pub(super) async fn write_inverse_together(&self, job: &WriteInverse) -> Result<FarEnd> {
        let (kind, begun) = (self.kind(&job.kind)?, Instant::now());
        if self.takes_turns(kind) {
            return self.write_inverse(job, Some(begun)).await;
        }
        let far = job.near(kind).other();
        let change = Change::Inverse { far, live: job.live, version: job.version, begun };
        match self.submit(change).await? {
            Outcome::Alone => self.write_inverse(job, Some(begun)).await,
            _ => Ok(FarEnd::Written),
        }
    }

    /// Cancels a job together with other changes.
    pub(super) async fn cancel_together(&self, job: JobId) -> Result<()> {
        match self.submit(Change::Cancel(job)).await? {
            Outcome::Alone => self.queue().cancel(job).await,
            _ => Ok(()),
        }
    }

    /// Waits for the batch that this change becomes a part of. It is written even if the caller is dropped.
    async fn submit(&self, change: Change) -> Result<Outcome> {
        let database = self.shards().database_index(Shard::of_id(change.shard_id()));
        let (answer, answered) = oneshot::channel();
        let leads = {
            let mut lane = self.combiner().lane(database);
            if lane.waiting.len() >= WAITING {
                let name = self.shards().databases()[database].name();
                return Err(Error::overloaded(format!(
                    "too many changes of edges wait for {name}; try again"
                )));
            }
            lane.waiting.push_back(Waiting { change, answer });
            let leads = lane.in_progress < IN_PROGRESS;
            lane.in_progress += usize::from(leads);
            leads
        };
        if leads {
            tokio::spawn(self.clone().lead(database));
        }
        answered
            .await
            .unwrap_or_else(|_| Err(Error::unavailable("the process ended before an edge was changed")))
    }

    /// Writes batch after batch until no change waits.
    async fn lead(self, database: usize) {
        loop {
            let batch = {
                let mut lane = self.combiner().lane(database);
                let batch = lane.next_batch();
                if batch.is_empty() {
                    lane.in_progress -= 1;
                    return;
                }
                batch
            };
            // A task of its own: a panic must not end those that follow.
            if let Err(error) = tokio::spawn(self.clone().write_batch(database, batch)).await {
                tracing::error!(%error, "a batch of edges was not written");
            }
        }
    }

    async fn write_batch(self, database: usize, batch: Vec<Waiting>) {
        let (changes, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|waiting| (waiting.change, waiting.answer)).unzip();
        let mut shards = Vec::new();
        for change in &changes {
            shards.push(Shard::of_id(change.shard_id()));
            if let Change::Forward { near, .. } = change {
                let far = Shard::of_id(near.far);
                shards.extend((self.shards().database_index(far) == database).then_some(far));
            }
        }
        let graph = self.clone();
        let written = self
            .shards()
            .write_each(
                database,
                shards,
                move |txs| async move { batch::apply(&graph, &txs, &changes).await },
            )
            .await;
        match written {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    // A caller that has gone away needs no answer.
                    drop(answer.send(outcome));
                }
            }
            Err(error) => {
                let is_away = error.is_unavailable() || error.is_unconfirmed() || error.is_overloaded();
                if !is_away {
                    tracing::warn!(
                        error = error.chain(),
                        changes = answers.len(),
                        "a batch of edges was undone: each change is tried alone"
                    );
                }
                let error = Arc::new(error);
                for answer in answers {
                    let outcome =
                        if is_away { Err(Error::shared(error.clone())) } else { Ok(Outcome::Alone) };
                    drop(answer.send(outcome));
                }
            }
        }
    }
}
