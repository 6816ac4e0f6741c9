//! Kinds of edges, and adding and removing edges inside a transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::combine::{Changed, Outcome};
use super::edge_cache::EdgeRegions;
use super::inverse::WriteInverse;
use super::owned::OwnedEntities;
use super::table::{self, Direction, End};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::queue::{JobId, Queue};
use crate::shard::{Combiner, RowTable, Sharded, Shards, Tx};

/// A kind of edge. Derived by [`crate::Edge`].
pub trait Edge: Send + Sync + 'static {
    /// The entity it starts at; the shard of this end orders the changes of an edge.
    type From: Sharded;
    /// The entity it points to.
    type To: Sharded;
    /// Its name in the tables, written by hand so that renaming the type loses no edge.
    const NAME: &'static str;
    /// The kinds of edges that an edge of this kind ends, as a block ends follows: adding it removes them
    /// between the two rows, in both directions, and none can be added while it exists.
    const ENDS: &'static [&'static str] = &[];
    /// Whether the newest sources of each row are cached, as its targets always are: for kinds of which
    /// [`Read::sources_among`](crate::shard::Read::sources_among) is asked for each page.
    const CACHES_SOURCES: bool = false;
}

/// The name of an edge that another one ends. Both join rows of one entity; the derive calls this, so that
/// others do not compile.
pub const fn ended_by<E, By, Ended>() -> &'static str
where
    By: Edge<From = E, To = E>,
    Ended: Edge<From = E, To = E>,
    E: Sharded,
{
    Ended::NAME
}

/// A kind of edge, with the tables of the rows that it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeKind {
    /// The name in the edge tables.
    pub name: &'static str,
    /// The table of the rows it starts at.
    pub from: RowTable,
    /// The table of the rows it points to.
    pub to: RowTable,
    /// The kinds that it ends; see [`Edge::ENDS`].
    pub ends: &'static [&'static str],
    /// Whether sources are cached; see [`Edge::CACHES_SOURCES`].
    pub caches_sources: bool,
}

impl EdgeKind {
    /// A kind of edge, as its derive describes it.
    pub fn of<E: Edge>() -> Self {
        Self {
            name: E::NAME,
            from: RowTable::of::<E::From>(),
            to: RowTable::of::<E::To>(),
            ends: E::ENDS,
            caches_sources: E::CACHES_SOURCES,
        }
    }
}

/// How long an inverse edge may be missing before its job writes it, after a crash or while its shard is
/// unreachable. Normally it is written before the reply.
pub(super) const INVERSE_GRACE: Duration = Duration::from_secs(3);

/// How long [`Graph::connect`] waits for the inverse edge.
const INVERSE_WAIT: Duration = Duration::from_secs(2);

/// The registered kinds of edges; clones share everything. [`Tx::connect`] and [`Tx::disconnect`] change
/// edges, and [`Read`](crate::shard::Read) reads them.
#[derive(Clone)]
pub struct Graph(Arc<Inner>);

pub(super) struct Inner {
    shards: Shards,
    queue: Queue,
    kinds: HashMap<&'static str, (EdgeKind, EdgeRegions)>,
    hooks: RwLock<HashMap<&'static str, Vec<Hook>>>,
    owned: OwnedEntities,
    combiner: Combiner<Graph>,
}

/// Called with the `from` of each added or removed edge of a kind.
type Hook = Arc<dyn Fn(i64) -> BoxFuture<'static, Result<()>> + Send + Sync>;

impl Tx {
    /// Adds the edge, if this transaction commits; returns whether it is new. Safe to repeat. The
    /// forward edge commits with this transaction. The inverse edge is written on the shard of `to`
    /// right after, or by a job if that shard is unreachable. If there is no row at `to`, the edge is
    /// removed again; [`Graph::connect`] reports that.
    ///
    /// # Errors
    /// Absent, if there is no row at `from`; internal, if `from` lives on another shard than this
    /// transaction; configuration, if the kind of edge is not registered.
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        let graph = Graph(self.shards().service::<Inner>()?);
        graph.change_in(self, E::NAME, (from.raw(), to.raw()), true).await
    }

    /// Removes the edge, if this transaction commits; returns whether it existed. Safe to repeat. See
    /// [`Self::connect`].
    ///
    /// # Errors
    /// Internal, if `from` lives on another shard than this transaction; configuration, if the kind of
    /// edge is not registered.
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
    pub fn new(shards: Shards, queue: Queue, kinds: &[EdgeKind]) -> Self {
        let names: HashSet<&str> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds.len(), "two kinds of edge have the same name in {kinds:?}");
        let kinds = kinds.iter().map(|kind| (kind.name, (*kind, EdgeRegions::new(&shards, *kind))));
        let (kinds, hooks, owned) = (kinds.collect(), RwLock::default(), OwnedEntities::default());
        let combiner = Combiner::new(shards.databases().len());
        let inner = Arc::new(Inner { shards: shards.clone(), queue, kinds, hooks, owned, combiner });
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
    /// Absent, if there is no row at one of the ends; any error of the database of `from`. An error of the
    /// other database only delays the inverse edge.
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.change(E::NAME, (from.raw(), to.raw()), true).await
    }

    /// Removes the edge in its own transaction; see [`Tx::disconnect`].
    ///
    /// # Errors
    /// Any error of the database of `from`.
    pub async fn disconnect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.change(E::NAME, (from.raw(), to.raw()), false).await
    }

    /// Changes an edge, given the name of its kind, in a transaction that may be shared with other changes.
    pub(super) async fn change(&self, kind: &str, (from, to): (i64, i64), live: bool) -> Result<bool> {
        let kind = self.kind(kind)?;
        let near = End { near: from, kind: kind.name, direction: Direction::Out, far: to };
        let changed = match self.change_together(kind, near, live).await? {
            Outcome::Alone => self.change_alone(kind, (from, to), live).await?,
            Outcome::Changed(changed) => Some(changed),
            Outcome::Unchanged => None,
        };
        let Some(Changed { change, job, is_inverse_written }) = changed else { return Ok(false) };
        let Some(job) = job else { return Ok(true) };
        let graph = self.clone();
        // Spawned, because the caller may be dropped meanwhile by a client that hangs up.
        let follow_up = tokio::spawn(async move { graph.follow_up(change, job, is_inverse_written).await });
        match tokio::time::timeout(INVERSE_WAIT, follow_up).await {
            Ok(Ok(Some(FarEnd::Gone))) if live => Err(absent(kind.to)),
            _ => Ok(true),
        }
    }

    async fn change_alone(&self, kind: EdgeKind, ends: (i64, i64), live: bool) -> Result<Option<Changed>> {
        let graph = self.clone();
        let change = self.0.shards.write(Id::<()>::from_raw(ends.0), move |tx| async move {
            graph.change_forward(&tx, kind.name, ends, live).await
        });
        let changed = change.await?;
        Ok(changed.map(|(change, job)| Changed { change, job: Some(job), is_inverse_written: false }))
    }

    pub(super) async fn change_in(&self, tx: &Tx, kind: &str, ends: (i64, i64), live: bool) -> Result<bool> {
        let Some((job, queued)) = self.change_forward(tx, kind, ends, live).await? else { return Ok(false) };
        let graph = self.clone();
        tx.after_commit(async move { graph.follow_up(job, queued, false).await.map_or((), drop) });
        Ok(true)
    }

    /// Runs after the forward edge is committed; what fails here is left to the job, and `None` is returned.
    pub(super) async fn follow_up(
        &self,
        job: WriteInverse,
        queued: JobId,
        is_inverse_written: bool,
    ) -> Option<FarEnd> {
        let written = match is_inverse_written {
            true => Ok(FarEnd::Written),
            false => self.write_inverse_together(&job, Some(Instant::now())).await,
        };
        let far = match (written, self.changed(&job).await) {
            (Ok(far), Ok(())) => far,
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(error = error.chain(), "an inverse edge is left to its job");
                return None;
            }
        };
        let done = match far {
            FarEnd::Written => self.cancel_together(queued).await,
            FarEnd::Gone => self.forget(job.near(self.kind(&job.kind).ok()?), Some(queued)).await,
        };
        if let Err(error) = done {
            tracing::warn!(
                error = error.chain(),
                "an inverse edge is written, but its job could not be cancelled"
            );
        }
        Some(far)
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
        let kind = self.kind(kind)?;
        let shard = Id::<()>::from_raw(from).shard();
        if shard != tx.shard() {
            return Err(Error::internal(format!(
                "an edge {:?} from {from}, which lives on {shard}, can't be changed on {}",
                kind.name,
                tx.shard()
            )));
        }
        if live && !self.hold_end(tx, kind, kind.from, from).await? {
            return Err(absent(kind.from));
        }
        let near = End { near: from, kind: kind.name, direction: Direction::Out, far: to };
        let generated = tx.generate_id::<()>()?.raw();
        let Some(version) = table::change_forward(tx, near, live, generated).await? else { return Ok(None) };
        self.end_changes(tx, near)?;
        if live {
            self.refuse_ended(tx, kind, near).await?;
            self.end_others(tx, kind, near).await?;
        }
        let job = WriteInverse { kind: kind.name.to_owned(), from, to, version, live };
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
        let kind = self.kind(kind)?.name;
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

    /// Whether anything is called when edges of this kind change.
    pub(super) fn has_hooks(&self, kind: &str) -> bool {
        self.0.hooks.read().unwrap_or_else(|broken| broken.into_inner()).contains_key(kind)
    }

    /// Reports that what is cached about this end changes in this transaction.
    pub(super) fn end_changes(&self, tx: &Tx, end: End) -> Result<()> {
        self.regions(end.kind)?.changed(end.direction, end.near).for_each(|changed| tx.changes(changed));
        Ok(())
    }

    pub(super) fn shards(&self) -> &Shards {
        &self.0.shards
    }

    pub(super) fn combiner(&self) -> &Combiner<Self> {
        &self.0.combiner
    }

    pub(super) fn owned(&self) -> &OwnedEntities {
        &self.0.owned
    }

    pub(super) fn regions(&self, name: &str) -> Result<&EdgeRegions> {
        self.0.kinds.get(name).map(|(_, regions)| regions).ok_or_else(|| unregistered(name))
    }

    pub(super) fn kind(&self, name: &str) -> Result<EdgeKind> {
        self.0.kinds.get(name).map(|(kind, _)| *kind).ok_or_else(|| unregistered(name))
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = EdgeKind> {
        self.0.kinds.values().map(|(kind, _)| *kind)
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.0.queue
    }
}

/// The row at an edge's far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FarEnd {
    /// It exists, and the inverse edge is written.
    Written,
    /// It does not exist, so there can't be an edge to it.
    Gone,
}

pub(super) fn absent(rows: RowTable) -> Error {
    Error::absent(format!("There is no {} with this id.", rows.name))
}

fn unregistered(name: &str) -> Error {
    Error::configuration(format!(
        "no edge named {name:?} is registered: add it to the app with .edge::<...>()"
    ))
}
