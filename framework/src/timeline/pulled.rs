//! Authors whose items are pulled: their audience is too large to push to.
//!
//! An author is marked before their first item that is not pushed, and stays marked: readers then
//! merge the author's list in, so an item that was pushed as well is simply the same item.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use futures::future::try_join_all;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{ColumnDef, Index, Table};

use crate::db::{CreateTables, Migration, statement};
use crate::error::Result;
use crate::id::Shard;
use crate::shard::Shards;

/// The pulled authors, on their own shards.
pub const MIGRATION: Migration = || {
    let pulled = Table::create()
        .table("tripod_pulled")
        .col(ColumnDef::new("author_id").big_integer().not_null())
        .col(ColumnDef::new("timeline").text().not_null())
        .primary_key(Index::create().col("author_id").col("timeline"))
        .take();
    CreateTables::new("m20261122_000004_tripod_pulled").table(pulled).boxed()
};

type Authors = HashSet<(String, i64)>;

#[derive(Clone)]
pub(super) struct Pulled {
    shards: Shards,
    authors: Arc<RwLock<Authors>>,
}

impl Pulled {
    pub(super) async fn load(shards: Shards) -> Result<Self> {
        let queries = shards.databases().iter().map(async |database| {
            let reader = database.reader();
            let sql = "SELECT timeline, author_id FROM tripod_pulled";
            reader.query_all_raw(statement(reader, sql, [])).await
        });
        let mut authors = Authors::new();
        for row in try_join_all(queries).await?.into_iter().flatten() {
            authors.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
        Ok(Self { shards, authors: Arc::new(RwLock::new(authors)) })
    }

    pub(super) fn contains(&self, timeline: &str, author: i64) -> bool {
        self.read().contains(&(timeline.to_owned(), author))
    }

    /// The pulled authors of a timeline; few, by what makes one.
    pub(super) fn authors(&self, timeline: &str) -> Vec<i64> {
        self.read().iter().filter(|(name, _)| name == timeline).map(|(_, author)| *author).collect()
    }

    /// Marks an author, durably before it is seen here.
    pub(super) async fn mark(&self, timeline: &'static str, author: i64) -> Result<()> {
        self.shards
            .write::<_, crate::Error, _>(Shard::of_id(author), move |tx| {
                Box::pin(async move {
                    let connection = tx.connection();
                    let sql = "INSERT INTO tripod_pulled (author_id, timeline) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                    let values = [author.into(), timeline.into()];
                    connection.execute_raw(statement(connection, sql, values)).await?;
                    Ok(())
                })
            })
            .await?;
        self.authors
            .write()
            .unwrap_or_else(|broken| broken.into_inner())
            .insert((timeline.to_owned(), author));
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Authors> {
        self.authors.read().unwrap_or_else(|broken| broken.into_inner())
    }
}
