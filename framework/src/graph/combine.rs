//! Changes of edges that arrive together are written together.

use std::collections::BTreeMap;
use std::time::Instant;

use super::batch;
use super::edge::EdgeKind;
use super::inverse::WriteInverse;
use super::table::{Direction, End};
use super::{Graph, edge::FarEnd};
use crate::error::Result;
use crate::id::Shard;
use crate::queue::JobId;
use crate::shard::{Combine, Combiner, Shards, Tx};

/// A change that is written together with others.
pub(crate) enum Change {
    /// Of a forward edge, and of its inverse edge if the same database holds that.
    Forward { near: End, live: bool },
    /// Brings an inverse edge to a version of its forward edge. `begun` is when that was committed, if this is not
    /// done by the job.
    Inverse { far: End, live: bool, version: i64, begun: Option<Instant> },
    /// Cancels the job of an inverse edge that is written.
    Cancel(JobId),
}

/// What became of a change.
pub(crate) enum Outcome {
    /// The edge was as wanted already; or an inverse edge is written, or a job cancelled.
    Unchanged,
    /// A forward edge has changed.
    Changed(Changed),
    /// It needs a transaction of its own.
    Alone,
}

/// A forward edge that has changed, and what is left to do.
pub(crate) struct Changed {
    pub(super) change: WriteInverse,
    /// The job that does what is left; `None` if nothing is left.
    pub(super) job: Option<JobId>,
    pub(super) is_inverse_written: bool,
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
}

impl Combine for Graph {
    type Change = Change;
    type Outcome = Outcome;
    type Key = (&'static str, (i64, i64));
    const CHANGES: &'static str = "changes of edges";

    fn shards(&self) -> &Shards {
        self.shards()
    }

    fn combiner(&self) -> &Combiner<Self> {
        self.combiner()
    }

    fn home(change: &Change) -> Shard {
        Shard::of_id(change.shard_id())
    }

    /// The inverse edge is written with its forward edge.
    fn beside(change: &Change) -> Option<Shard> {
        match change {
            Change::Forward { near, .. } => Some(Shard::of_id(near.far)),
            _ => None,
        }
    }

    /// The edge: its kind and its ends.
    fn key(change: &Change) -> Option<Self::Key> {
        match change {
            Change::Forward { near: end, .. } | Change::Inverse { far: end, .. } => {
                Some((end.kind, end.ends()))
            }
            Change::Cancel(_) => None,
        }
    }

    fn alone() -> Outcome {
        Outcome::Alone
    }

    async fn apply(self, txs: BTreeMap<Shard, Tx>, changes: Vec<Change>) -> Result<Vec<Result<Outcome>>> {
        batch::apply(&self, &txs, &changes).await
    }
}

impl Graph {
    /// Changes a forward edge together with other changes.
    pub(super) async fn change_together(&self, kind: EdgeKind, near: End, live: bool) -> Result<Outcome> {
        debug_assert_eq!((kind.name, near.direction), (near.kind, Direction::Out));
        if self.takes_turns(kind) {
            return Ok(Outcome::Alone);
        }
        self.combine(Change::Forward { near, live }).await
    }

    /// As [`Graph::write_inverse`], together with other changes.
    pub(super) async fn write_inverse_together(
        &self,
        job: &WriteInverse,
        begun: Option<Instant>,
    ) -> Result<FarEnd> {
        let kind = self.kind(&job.kind)?;
        if self.takes_turns(kind) {
            return self.write_inverse(job, begun).await;
        }
        let far = job.near(kind).other();
        let change = Change::Inverse { far, live: job.live, version: job.version, begun };
        match self.combine(change).await? {
            Outcome::Alone => self.write_inverse(job, begun).await,
            _ => Ok(FarEnd::Written),
        }
    }

    /// Cancels a job together with other changes.
    pub(super) async fn cancel_together(&self, job: JobId) -> Result<()> {
        match self.combine(Change::Cancel(job)).await? {
            Outcome::Alone => self.queue().cancel(job).await,
            _ => Ok(()),
        }
    }
}
