//! Kinds of edges, and the handle that makes and removes them.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::far::WriteFarEnd;
use super::table::{self, Direction, End};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::queue::Queue;
use crate::shard::Shards;

/// A kind of edge. Derived by [`crate::Edge`].
pub trait Edge: Send + Sync + 'static {
    /// What it starts at; this end decides.
    type From;
    /// What it points to.
    type To;
    /// Its name in the tables, written by hand: renaming the type loses no edge.
    const NAME: &'static str;
}

/// How long a far end may be unwritten before its job writes it: the crash, or an unreachable
/// shard. Ordinarily it is written before the reply.
const FAR_END_GRACE: Duration = Duration::from_secs(3);

/// Makes, removes, lists and counts edges; clones share everything.
#[derive(Clone)]
pub struct Graph {
    pub(super) shards: Shards,
    queue: Queue,
    kinds: Arc<HashMap<&'static str, ()>>,
    late: Arc<OnceLock<Late>>,
}

/// Told of an edge's `from` when its far end was written by the job rather than at once.
type Late = Box<dyn Fn(i64) + Send + Sync>;

impl Graph {
    /// A graph of these kinds of edges. [`WriteFarEnd`] must be among the queue's jobs.
    ///
    /// # Panics
    /// When two kinds have the same name: a mistake that must not get past the first start.
    pub fn new(shards: Shards, queue: Queue, kinds: &[&'static str]) -> Self {
        let named: HashMap<_, _> = kinds.iter().map(|name| (*name, ())).collect();
        assert_eq!(named.len(), kinds.len(), "two kinds of edge have the same name in {kinds:?}");
        Self { shards, queue, kinds: Arc::new(named), late: Arc::default() }
    }

    /// Makes the edge; tells whether it was not there. Safe to repeat.
    ///
    /// # Errors
    /// Those of the near end's database; the far end may lag behind an error of its own.
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.change::<E>(from, to, true).await
    }

    /// Removes the edge; tells whether it was there. Safe to repeat.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn disconnect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.change::<E>(from, to, false).await
    }

    async fn change<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>, live: bool) -> Result<bool> {
        let Some((job, queued)) = self.decide::<E>(from, to, live).await? else { return Ok(false) };
        // The edge is made. If its far end can't be reached now, the job will reach it.
        match self.write_far_end(&job).await {
            Ok(()) => {
                if let Err(error) = self.queue.take_back(queued).await {
                    tracing::warn!(
                        error = error.chain(),
                        "the job of a far end that is written will run for nothing"
                    );
                }
            }
            Err(error) => tracing::warn!(error = error.chain(), "an edge's far end is left to its job"),
        }
        Ok(true)
    }

    /// Changes the near end, and queues the job for the far end in the same transaction. Nothing
    /// when the edge is as wanted.
    async fn decide<E: Edge>(
        &self,
        from: Id<E::From>,
        to: Id<E::To>,
        live: bool,
    ) -> Result<Option<(WriteFarEnd, i64)>> {
        let kind = self.registered(E::NAME)?;
        let near = End { near: from.raw(), kind, direction: Direction::Out, far: to.raw() };
        let queue = self.queue.clone();
        self.shards
            .write(from.shard(), move |tx| {
                Box::pin(async move {
                    let minted = tx.mint::<E>()?.raw();
                    let Some(version) = table::decide(tx, near, live, minted).await? else { return Ok(None) };
                    let job =
                        WriteFarEnd { kind: kind.to_owned(), from: near.near, to: near.far, version, live };
                    let queued = queue.enqueue_after(tx, &job, FAR_END_GRACE).await?;
                    Ok(Some((job, queued)))
                })
            })
            .await
    }

    /// A change whose process dies before it writes the far end, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn decide_only<E: Edge>(
        &self,
        from: Id<E::From>,
        to: Id<E::To>,
        live: bool,
    ) -> Result<Option<WriteFarEnd>> {
        Ok(self.decide::<E>(from, to, live).await?.map(|(job, _)| job))
    }

    /// Has `told` called when a far end was written late: whoever went by that end meanwhile has
    /// missed the change.
    pub(crate) fn when_late(&self, told: impl Fn(i64) + Send + Sync + 'static) {
        if self.late.set(Box::new(told)).is_err() {
            tracing::warn!("only one part of an app can be told of late edges");
        }
    }

    pub(super) fn was_late(&self, from: i64) {
        if let Some(told) = self.late.get() {
            told(from);
        }
    }

    pub(crate) async fn write_far_end(&self, job: &WriteFarEnd) -> Result<()> {
        let kind = self.registered(&job.kind)?;
        let far = End { near: job.to, kind, direction: Direction::In, far: job.from };
        let (live, version) = (job.live, job.version);
        self.shards
            .write(Id::<()>::from_raw(job.to).shard(), move |tx| {
                Box::pin(async move { table::follow(tx, far, live, version).await })
            })
            .await
    }

    fn registered(&self, name: &str) -> Result<&'static str> {
        self.kinds.get_key_value(name).map(|(name, ())| *name).ok_or_else(|| {
            Error::configuration(format!(
                "no edge named {name:?} is registered: add it to the app with .edge::<...>()"
            ))
        })
    }
}
