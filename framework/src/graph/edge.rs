//! Kinds of edges, and adding and removing edges inside a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::EntityTrait;

use super::edge_cache::EdgeRegions;
use super::inverse::WriteInverse;
use super::owned::OwnedEntities;
use super::table::{self, Direction, End};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::queue::{JobId, Queue};
use crate::shard::{Shards, Tx};

/// A kind of edge. Derived by [`crate::Edge`].
pub trait Edge: Send + Sync + 'static {
    /// The entity it starts at; the shard of this end orders the changes of an edge.
    type From: EntityTrait;
    /// The entity it points to.
    type To: EntityTrait;
    /// Its name in the tables, written by hand so that renaming the type loses no edge.
    const NAME: &'static str;
}

/// How long an inverse edge may be missing before its job writes it, after a crash or while its shard is
/// unreachable. Normally it is written before the reply.
const INVERSE_GRACE: Duration = Duration::from_secs(3);

/// The registered kinds of edges; clones share everything. [`Tx::connect`] and [`Tx::disconnect`] change
/// edges, and [`Read`](crate::shard::Read) reads them.
#[derive(Clone)]
pub struct Graph(Arc<Inner>);

pub(super) struct Inner {
    shards: Shards,
    queue: Queue,
    kinds: HashMap<&'static str, EdgeRegions>,
    hooks: RwLock<HashMap<&'static str, Vec<Hook>>>,
    owned: OwnedEntities,
}

/// Called with the `from` of each added or removed edge of a kind.
type Hook = Arc<dyn Fn(i64) -> BoxFuture<'static, Result<()>> + Send + Sync>;

impl Tx {
    /// Adds the edge, if this transaction commits; returns whether it is new. Safe to repeat. The
    /// forward edge commits with this transaction. The inverse edge is written on the shard of `to`
    /// right after, or by a job if that shard is unreachable.
    ///
    /// # Errors
    /// Internal, if `from` lives on another shard than this transaction; configuration, if the kind of
    /// edge is not registered.
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        let graph = Graph(self.shards().service::<Inner>()?);
        graph.change_in(self, E::NAME, (from.raw(), to.raw()), true).await
    }

    /// Removes the edge, if this transaction commits; returns whether it existed. Safe to repeat. See
    /// [`Self::connect`].
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub async fn disconnect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        let graph = Graph(self.shards().service::<Inner>()?);
        graph.change_in(self, E::NAME, (from.raw(), to.raw()), false).await
    }
}

impl Graph {
    /// A graph of these kinds of edges. [`WriteInverse`], [`super::RemoveEdges`] and
    /// [`super::DeleteOwned`] must be registered as jobs of the queue.
    ///
    /// # Panics
    /// If two kinds have the same name: this mistake must show at the first start.
    pub fn new(shards: Shards, queue: Queue, kinds: &[&'static str]) -> Self {
        let names: HashSet<&str> = kinds.iter().copied().collect();
        assert_eq!(names.len(), kinds.len(), "two kinds of edge have the same name in {kinds:?}");
        let kinds = kinds.iter().map(|name| (*name, EdgeRegions::new(&shards, name))).collect();
        let (hooks, owned) = (RwLock::default(), OwnedEntities::default());
        let inner = Arc::new(Inner { shards: shards.clone(), queue, kinds, hooks, owned });
        shards.provide(&inner);
        Self(inner)
    }

    /// The graph registered with these shards.
    pub(super) fn of(shards: &Shards) -> Result<Self> {
        shards.service().map(Self)
    }

    /// Adds the edge in its own transaction; see [`Tx::connect`].
    ///
    /// # Errors
    /// Any error of the database of `from`. An error on the inverse edge only delays it.
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.0.shards.write(from, move |tx| async move { tx.connect::<E>(from, to).await }).await
    }

    /// Removes the edge in its own transaction; see [`Tx::disconnect`].
    ///
    /// # Errors
    /// As for [`Self::connect`].
    pub async fn disconnect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.0.shards.write(from, move |tx| async move { tx.disconnect::<E>(from, to).await }).await
    }

    /// Removes an edge, given the name of its kind, for jobs.
    pub(super) async fn disconnect_named(&self, kind: &str, from: i64, to: i64) -> Result<bool> {
        let (graph, kind) = (self.clone(), self.registered(kind)?);
        let shard = Id::<()>::from_raw(from);
        self.0
            .shards
            .write(shard, move |tx| async move { graph.change_in(&tx, kind, (from, to), false).await })
            .await
    }

    async fn change_in(&self, tx: &Tx, kind: &str, ends: (i64, i64), live: bool) -> Result<bool> {
        let Some((job, queued)) = self.change_forward(tx, kind, ends, live).await? else { return Ok(false) };
        let graph = self.clone();
        tx.after_commit(async move { graph.follow_up(job, queued).await });
        Ok(true)
    }

    /// Runs after the forward edge is committed; what fails here is left to the job.
    async fn follow_up(&self, job: WriteInverse, queued: JobId) {
        let written = self.write_inverse(&job).await;
        let told = self.changed(&job).await;
        match written.and(told) {
            Ok(()) => {
                if let Err(error) = self.0.queue.cancel(queued).await {
                    tracing::warn!(
                        error = error.chain(),
                        "an inverse edge is written, but its job could not be cancelled"
                    );
                }
            }
            Err(error) => tracing::warn!(error = error.chain(), "an inverse edge is left to its job"),
        }
    }

    /// Changes the forward edge, and queues the job for the inverse edge in the same transaction. `None`
    /// if the edge is already as wanted.
    async fn change_forward(
        &self,
        tx: &Tx,
        kind: &str,
        (from, to): (i64, i64),
        live: bool,
    ) -> Result<Option<(WriteInverse, JobId)>> {
        let (kind, regions) = (self.registered(kind)?, self.regions(kind)?);
        let shard = Id::<()>::from_raw(from).shard();
        if shard != tx.shard() {
            return Err(Error::internal(format!(
                "an edge {kind:?} from {from}, which lives on {shard}, can't be changed on {}",
                tx.shard()
            )));
        }
        let near = End { near: from, kind, direction: Direction::Out, far: to };
        let generated = tx.generate_id::<()>()?.raw();
        let Some(version) = table::change_forward(tx, near, live, generated).await? else { return Ok(None) };
        regions.changed(near.direction, near.near).for_each(|changed| tx.changes(changed));
        let job = WriteInverse { kind: kind.to_owned(), from, to, version, live };
        let queued = tx.enqueue_after(job.clone(), INVERSE_GRACE).await?;
        Ok(Some((job, queued)))
    }

    /// Simulates a process that dies before it writes the inverse edge, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn change_forward_only<E: Edge>(
        &self,
        from: Id<E::From>,
        to: Id<E::To>,
        live: bool,
    ) -> Result<Option<WriteInverse>> {
        let (graph, ends) = (self.clone(), (from.raw(), to.raw()));
        let changed = self
            .0
            .shards
            .write(from, move |tx| async move { graph.change_forward(&tx, E::NAME, ends, live).await });
        Ok(changed.await?.map(|(job, _)| job))
    }

    /// Calls `hook` with the `from` of each added or removed edge of this kind: once its inverse is
    /// written (at once, if that is left to the job), and again from the job. The job is kept until the
    /// hook has succeeded after the inverse edge was written.
    pub(crate) fn when_changed<F>(
        &self,
        kind: &str,
        hook: impl Fn(i64) -> F + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let kind = self.registered(kind)?;
        let mut hooks = self.0.hooks.write().unwrap_or_else(|broken| broken.into_inner());
        hooks.entry(kind).or_default().push(Arc::new(move |from| Box::pin(hook(from))));
        Ok(())
    }

    pub(super) async fn changed(&self, job: &WriteInverse) -> Result<()> {
        let hooks = {
            let hooks = self.0.hooks.read().unwrap_or_else(|broken| broken.into_inner());
            hooks.get(job.kind.as_str()).cloned().unwrap_or_default()
        };
        for hook in hooks {
            hook(job.from).await?;
        }
        Ok(())
    }

    pub(crate) async fn write_inverse(&self, job: &WriteInverse) -> Result<()> {
        let (kind, regions) = (self.registered(&job.kind)?, self.regions(&job.kind)?.clone());
        let far = End { near: job.to, kind, direction: Direction::In, far: job.from };
        let (live, version) = (job.live, job.version);
        self.0
            .shards
            .write(Id::<()>::from_raw(job.to), move |tx| async move {
                if table::write_inverse(&tx, far, live, version).await? {
                    regions.changed(far.direction, far.near).for_each(|changed| tx.changes(changed));
                }
                Ok(())
            })
            .await
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.0.shards
    }

    pub(super) fn owned(&self) -> &OwnedEntities {
        &self.0.owned
    }

    pub(super) fn regions(&self, name: &str) -> Result<&EdgeRegions> {
        self.0.kinds.get(name).ok_or_else(|| unregistered(name))
    }

    fn registered(&self, name: &str) -> Result<&'static str> {
        self.0.kinds.get_key_value(name).map(|(name, _)| *name).ok_or_else(|| unregistered(name))
    }
}

fn unregistered(name: &str) -> Error {
    Error::configuration(format!(
        "no edge named {name:?} is registered: add it to the app with .edge::<...>()"
    ))
}
