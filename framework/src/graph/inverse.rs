//! Jobs for edges: one writes an inverse edge that the process which added the forward edge could not
//! write, one removes all edges of a deleted row.

use serde::{Deserialize, Serialize};

use super::Graph;
use crate::error::{BoxError, Result};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Sharded, Tx};

/// Brings an inverse edge to a version of its forward edge.
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

impl<C: AsRef<Graph> + Send + Sync + 'static> Run<C> for WriteInverse {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        let graph = context.as_ref();
        graph.write_inverse(self).await?;
        graph.changed(self).await?;
        Ok(())
    }
}

/// Edges that are removed between two queries for the rest.
const PAGE: u64 = 200;

/// Removes every edge of a row, of every kind and in both directions. The remaining edges are queried
/// anew each time, so a repeated run simply continues.
#[derive(Debug, Serialize, Deserialize)]
pub struct RemoveEdges {
    row: i64,
}

impl Job for RemoveEdges {
    const NAME: &'static str = "tripod.remove_edges";
    const RETRIES: u32 = 20;
}

impl<C: AsRef<Graph> + Send + Sync + 'static> Run<C> for RemoveEdges {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        let graph = context.as_ref();
        loop {
            let edges = graph.any_edges(Id::from_raw(self.row), PAGE).await?;
            if edges.is_empty() {
                return Ok(());
            }
            let mut changed = false;
            for (kind, from, to) in edges {
                changed |= graph.disconnect_named(&kind, from, to).await?;
            }
            if !changed {
                return Err("these edges are removed, and the jobs of their inverses come first".into());
            }
        }
    }
}

impl Tx {
    /// Enqueues a job that removes every edge of this row, of every kind and in both directions.
    ///
    /// # Errors
    /// As for [`Tx::enqueue`].
    pub async fn remove_edges<T>(&self, row: Id<T>) -> Result<()> {
        self.enqueue(RemoveEdges { row: row.raw() }).await.map(drop)
    }

    /// Deletes the row with this id, as [`Tx::delete`] does, and enqueues a job that removes its edges;
    /// returns whether the row existed.
    ///
    /// # Errors
    /// As for [`Tx::delete`] and [`Tx::enqueue`].
    pub async fn delete_with_edges<E: Sharded>(&self, id: Id<E>) -> Result<bool> {
        let deleted = self.delete(id).await?;
        if deleted {
            self.remove_edges(id).await?;
        }
        Ok(deleted)
    }
}
