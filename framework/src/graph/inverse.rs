//! The inverse edge, and the job that writes it if the process which added the forward edge could not.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Graph;
use super::edge::{EdgeKind, FarEnd, INVERSE_GRACE};
use super::table::{self, Direction, End};
use crate::error::{BoxError, Error, Result};
use crate::id::Id;
use crate::queue::{Job, JobId, JobRun, Run};

/// Brings an inverse edge to the current version of its forward edge. If there is no row to point to, the
/// forward edge is removed instead.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteInverse {
    pub(super) kind: String,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) version: i64,
    pub(super) live: bool,
}

impl Job for WriteInverse {
    const NAME: &'static str = "tripod.write_far_end";
    /// About a day: a shard that is down for longer needs an operator anyway.
    const RETRIES: u32 = 30;
}

impl WriteInverse {
    /// The edge's end at `from`.
    pub(super) fn near(&self, kind: EdgeKind) -> End {
        End { near: self.from, kind: kind.name, direction: Direction::Out, far: self.to }
    }
}

impl<C: AsRef<Graph> + Send + Sync + 'static> Run<C> for WriteInverse {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        let graph = context.as_ref();
        let near = self.near(graph.kind(&self.kind)?);
        match table::find(graph.shards().reader(Id::<()>::from_raw(self.from).shard()), near).await? {
            // The edge may have changed since.
            Some((version, live)) => {
                (self.version, self.live) = (version, live);
                if graph.write_inverse_together(self, None).await? == FarEnd::Gone {
                    graph.forget(near, None).await?;
                }
            }
            // One of the ends is gone, and all its edges with it.
            None => graph.forget(near.other(), None).await?,
        }
        graph.changed(self).await?;
        Ok(())
    }
}

impl Graph {
    /// Writes the inverse edge, if there is a row to point to. `begun` is when the forward edge was
    /// committed: once the job may have begun, the process that committed leaves the edge to it.
    pub(crate) async fn write_inverse(&self, job: &WriteInverse, begun: Option<Instant>) -> Result<FarEnd> {
        let (graph, kind) = (self.clone(), self.kind(&job.kind)?);
        let (far, live, version) = (job.near(kind).other(), job.live, job.version);
        let write = self.shards().write(Id::<()>::from_raw(far.near), move |tx| async move {
            if begun.is_some_and(|begun| begun.elapsed() >= INVERSE_GRACE) {
                return Err(Error::unavailable("an inverse edge took too long"));
            }
            let exists = graph.hold_end(&tx, kind, kind.to, far.near).await?;
            let changed = match exists {
                true => table::write_inverse(&tx, far, live, version).await?,
                false => table::forget(&tx, far).await?,
            };
            if changed {
                graph.end_changes(&tx, far)?;
            }
            if changed && exists && live {
                graph.end_others(&tx, kind, far).await?;
            }
            Ok(if exists { FarEnd::Written } else { FarEnd::Gone })
        });
        write.await
    }

    /// Deletes the row of an edge that one of whose ends is gone, and cancels the job for its other end.
    pub(super) async fn forget(&self, end: End, job: Option<JobId>) -> Result<()> {
        let graph = self.clone();
        let forget = self.shards().write(Id::<()>::from_raw(end.near), move |tx| async move {
            if table::forget(&tx, end).await? {
                graph.end_changes(&tx, end)?;
            }
            if let Some(job) = job {
                tx.cancel(job).await?;
            }
            Ok(())
        });
        forget.await
    }
}
