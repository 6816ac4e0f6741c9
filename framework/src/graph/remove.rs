//! The job that removes all edges of a row, and forgets those of a row that is gone.

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::Graph;
use super::inverse::WriteInverse;
use super::table::{self, Direction, End};
use crate::db::statement;
use crate::error::{BoxError, Error, Result};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Sharded, Tx};

/// Edges that are removed between two queries for the rest.
const PAGE: u64 = 200;

/// Removes every edge of a row, of every kind and in both directions. If the row is deleted, also what
/// removed edges leave at both ends: their versions. The remaining edges are queried anew each time, so a
/// repeated run simply continues.
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
        context.as_ref().remove_all_edges(Id::from_raw(self.row)).await
    }
}

impl Graph {
    /// What [`RemoveEdges`] does.
    pub(super) async fn remove_all_edges(&self, row: Id<()>) -> Result<(), BoxError> {
        let is_gone = self.is_gone(row).await?;
        loop {
            let edges = self.ends_at(row, true, PAGE).await?;
            if edges.is_empty() {
                break;
            }
            let mut changed = false;
            for (kind, direction, far) in edges {
                let end = End { near: row.raw(), kind: self.kind(&kind)?.name, direction, far };
                let (from, to) = end.ends();
                changed |= self.change(end.kind, (from, to), false).await?;
                if is_gone && direction == Direction::In {
                    // Whatever its other end says: an edge can't point to a row that is gone.
                    self.forget(end, None).await?;
                    changed = true;
                }
            }
            if !changed {
                return Err("these edges are removed, and the jobs of their inverses come first".into());
            }
        }
        if is_gone { Ok(self.forget_removed(row).await?) } else { Ok(()) }
    }

    /// Whether no table at an end of an edge has a row with this id.
    async fn is_gone(&self, row: Id<()>) -> Result<bool> {
        let reader = self.shards().reader(row.shard());
        for kind in self.kinds() {
            for rows in [kind.from, kind.to] {
                let sql = format!("SELECT 1 FROM \"{}\" WHERE \"{}\" = $1", rows.name, rows.id);
                if reader.query_one_raw(statement(reader, &sql, [row.into()])).await?.is_some() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Deletes what the removed edges of a row that is gone have left. A removed edge keeps its version, so
    /// that an older change that comes late does not bring the edge back: nothing may be left to come.
    async fn forget_removed(&self, row: Id<()>) -> Result<()> {
        // Each change that is not yet written at its other end has its job, and the process that committed
        // the change may write it until that job begins.
        let changes = format!("%\"from\":{},%", row.raw());
        if self.queue().is_waiting::<WriteInverse>(row.shard(), &changes).await? {
            return Err(Error::unavailable("changes of the edges of a row that is gone come first"));
        }
        self.shards().settle().await?;
        loop {
            let edges = self.ends_at(row, false, PAGE).await?;
            if edges.is_empty() {
                break;
            }
            for (kind, direction, far) in edges {
                let end = End { near: row.raw(), kind: self.kind(&kind)?.name, direction, far };
                self.forget(end.other(), None).await?;
                self.forget(end, None).await?;
            }
        }
        self.shards().write(row, move |tx| async move { table::forget_counts(&tx, row.raw()).await }).await
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

    /// Deletes the row with this id, as [`Tx::delete`] does, and enqueues a job that removes its edges, if it
    /// has any; returns whether the row existed.
    ///
    /// # Errors
    /// As for [`Tx::delete`] and [`Tx::enqueue`].
    pub async fn delete_with_edges<E: Sharded>(&self, id: Id<E>) -> Result<bool> {
        let deleted = self.delete(id).await?;
        if deleted && table::has_edges(self, id.raw()).await? {
            self.remove_edges(id).await?;
        }
        Ok(deleted)
    }
}
