//! Kinds of edges that end others, as a block ends follows.
//!
//! The end of an edge that another kind can end lives with the rows that decide: on the shard of `from`,
//! where both the edge and, in either direction, an edge of the other kind are recorded. Whoever adds an
//! edge of either kind locks the row at `from` first. Two who do so at once therefore see each other's
//! edge: one refuses, or the other ends.

use futures::future::BoxFuture;

use super::Graph;
use super::edge::{EdgeKind, absent};
use super::table::{self, End};
use crate::error::Result;
use crate::shard::{RowTable, Tx};

impl Graph {
    /// Whether the row at an end of a new edge exists. It can't be deleted until the transaction ends; if
    /// the kind of edge ends others or is ended by others, those who add such edges here take turns.
    pub(super) async fn hold_end(&self, tx: &Tx, kind: EdgeKind, rows: RowTable, row: i64) -> Result<bool> {
        match self.takes_turns(kind) {
            true => tx.lock_raw(rows, row).await,
            false => tx.hold_raw(rows, row).await,
        }
    }

    /// Whether a kind of edge ends others or is ended by others. Its changes have transactions of their own.
    pub(super) fn takes_turns(&self, kind: EdgeKind) -> bool {
        !kind.ends.is_empty() || self.kinds_ending(kind).next().is_some()
    }

    /// Refuses a new edge between rows that an edge of a kind which ends it joins.
    pub(super) async fn refuse_ended(&self, tx: &Tx, kind: EdgeKind, near: End) -> Result<()> {
        for by in self.kinds_ending(kind) {
            if table::are_joined(tx, by.name, near.near, near.far).await? {
                return Err(absent(kind.to));
            }
        }
        Ok(())
    }

    /// Removes the edges from this end to the other of each kind that this one ends.
    pub(super) fn end_others<'a>(
        &'a self,
        tx: &'a Tx,
        kind: EdgeKind,
        end: End,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for ended in kind.ends {
                // The other direction's edges are ended where they start, when the inverse edge is written.
                self.change_in(tx, ended, (end.near, end.far), false).await?;
            }
            Ok(())
        })
    }

    /// The kinds of edges that end this one.
    fn kinds_ending(&self, kind: EdgeKind) -> impl Iterator<Item = EdgeKind> {
        self.kinds().filter(move |by| by.ends.contains(&kind.name))
    }
}
