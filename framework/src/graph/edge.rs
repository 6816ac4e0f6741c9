//! Kinds of edges, and the handle that makes and removes them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;

use super::cached::Regions;
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
    kinds: Arc<HashMap<&'static str, Regions>>,
    hooks: Arc<RwLock<HashMap<&'static str, Vec<Hook>>>>,
}

/// Told of the `from` of each edge of a kind that was made or removed.
type Hook = Arc<dyn Fn(i64) -> BoxFuture<'static, Result<()>> + Send + Sync>;

impl Graph {
    /// A graph of these kinds of edges. [`WriteFarEnd`] must be among the queue's jobs.
    ///
    /// # Panics
    /// When two kinds have the same name: a mistake that must not get past the first start.
    pub fn new(shards: Shards, queue: Queue, kinds: &[&'static str]) -> Self {
        let names: HashSet<&str> = kinds.iter().copied().collect();
        assert_eq!(names.len(), kinds.len(), "two kinds of edge have the same name in {kinds:?}");
        let named: HashMap<_, _> = kinds.iter().map(|name| (*name, Regions::new(&shards, name))).collect();
        Self { shards, queue, kinds: Arc::new(named), hooks: Arc::default() }
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
        // The edge is made. What can't be done about it now is done by the job.
        let far = self.write_far_end(&job).await;
        let told = self.changed(&job).await;
        match far.and(told) {
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
        let (kind, regions) = (self.registered(E::NAME)?, self.regions(E::NAME)?.clone());
        let near = End { near: from.raw(), kind, direction: Direction::Out, far: to.raw() };
        let queue = self.queue.clone();
        self.shards
            .write(from.shard(), move |tx| {
                Box::pin(async move {
                    let minted = tx.mint::<E>()?.raw();
                    let Some(version) = table::decide(tx, near, live, minted).await? else { return Ok(None) };
                    regions.changed(near.direction, near.near).for_each(|changed| tx.changes(changed));
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

    /// Has `hook` told the `from` of each edge of this kind that was made or removed: once its far
    /// end is written, or at once where that is left to the job, and again by the job. The job is
    /// there until the hook has succeeded after the far end was written.
    pub(crate) fn when_changed<F>(
        &self,
        kind: &str,
        hook: impl Fn(i64) -> F + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let kind = self.registered(kind)?;
        let mut hooks = self.hooks.write().unwrap_or_else(|broken| broken.into_inner());
        hooks.entry(kind).or_default().push(Arc::new(move |from| Box::pin(hook(from))));
        Ok(())
    }

    pub(super) async fn changed(&self, job: &WriteFarEnd) -> Result<()> {
        let hooks = {
            let hooks = self.hooks.read().unwrap_or_else(|broken| broken.into_inner());
            hooks.get(job.kind.as_str()).cloned().unwrap_or_default()
        };
        for hook in hooks {
            hook(job.from).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_far_end(&self, job: &WriteFarEnd) -> Result<()> {
        let (kind, regions) = (self.registered(&job.kind)?, self.regions(&job.kind)?.clone());
        let far = End { near: job.to, kind, direction: Direction::In, far: job.from };
        let (live, version) = (job.live, job.version);
        self.shards
            .write(Id::<()>::from_raw(job.to).shard(), move |tx| {
                Box::pin(async move {
                    if table::follow(tx, far, live, version).await? {
                        regions.changed(far.direction, far.near).for_each(|changed| tx.changes(changed));
                    }
                    Ok(())
                })
            })
            .await
    }

    pub(super) fn regions(&self, name: &str) -> Result<&Regions> {
        self.kinds.get(name).ok_or_else(|| unregistered(name))
    }

    fn registered(&self, name: &str) -> Result<&'static str> {
        self.kinds.get_key_value(name).map(|(name, _)| *name).ok_or_else(|| unregistered(name))
    }
}

fn unregistered(name: &str) -> Error {
    Error::configuration(format!(
        "no edge named {name:?} is registered: add it to the app with .edge::<...>()"
    ))
}
