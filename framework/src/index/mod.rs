//! Secondary indexes: the rows of an entity by a key, newest first, from all shards.
//!
//! A row names its keys ([`Index::keys`]): the tags of a caption, the words of a name. Each key has an entry
//! for each row that names it, on the shard of the key's hash, so that one lookup reads one database. An
//! index is eventually exact: when a row's keys change, a job commits with the row; it makes the entries of
//! these keys match the row, and checks afterwards that the row has not changed meanwhile. A late job reads
//! the row anew, so jobs may run in any order, at the same time, and more than once. The count of a key's
//! entries changes in the transaction that changes the entries.
//!
//! The rows are the source of truth: an index can be dropped, and [`Indexes::rebuild`] makes it anew while
//! the app serves. A lookup is a range of a B-tree, which both engines have; their own text search (FTS5,
//! GIN) indexes the texts of one database, so a lookup would have to ask each of them.

mod check;
mod kind;
mod maintain;
mod read;
mod rebuild;
mod table;

use std::collections::HashSet;
use std::sync::Arc;

pub use kind::{Index, IndexKind};
pub use maintain::UpdateIndex;
pub use read::IndexKey;
pub use rebuild::Rebuilding;
pub use table::MIGRATION;

use crate::error::{Error, Result};
use crate::shard::Shards;

/// The registered indexes; clones share everything. [`Read`](crate::shard::Read) reads them.
#[derive(Clone)]
pub struct Indexes(Arc<Inner>);

struct Inner {
    shards: Shards,
    kinds: Vec<IndexKind>,
}

impl Indexes {
    /// These indexes are maintained from now on. [`UpdateIndex`] must be among the jobs of the shards' queue.
    ///
    /// # Panics
    /// If two indexes have the same name: this mistake must show at the first start.
    pub fn new(shards: Shards, kinds: &[IndexKind]) -> Self {
        let names: HashSet<&str> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names.len(), kinds.len(), "two indexes have the same name");
        for kind in kinds {
            (kind.observe)(&shards);
        }
        let inner = Arc::new(Inner { shards, kinds: kinds.to_vec() });
        inner.shards.provide(&inner);
        Self(inner)
    }

    /// The indexes registered with these shards.
    fn of(shards: &Shards) -> Result<Self> {
        shards.service().map(Self)
    }

    /// The names of the indexes, in the order in which they were registered.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.kinds.iter().map(|kind| kind.name)
    }

    fn kind(&self, name: &str) -> Result<&IndexKind> {
        self.0.kinds.iter().find(|kind| kind.name == name).ok_or_else(|| {
            Error::configuration(format!(
                "no index named {name:?} is registered: add it to the app with .index::<...>()"
            ))
        })
    }
}
