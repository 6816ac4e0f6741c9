//! Lookups: rows by a key, the counts of keys, and keys by their beginning. Each reads one database.

use std::collections::HashMap;

use futures::future::join_all;
use sea_orm::ConnectionTrait;
use sea_orm::ExprTrait;
use sea_orm::sea_query::{Expr, Query};

use super::Indexes;
use super::kind::{self, Index, beginning, place, stored};
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, Shard};
use crate::shard::{Keyset, List, Order, Read, Rows, Sharded};

/// A key of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexKey {
    /// The key.
    pub key: String,
    /// The number of rows that name it.
    pub count: u64,
}

impl Read {
    /// The rows that name a key, newest first; a part of the list may be shorter than its limit. The entries
    /// are read from one database, the rows as by [`Self::find_many`]. Rows that do not name the key any more
    /// are left out; one that has just come to name it is missing until its job has run.
    ///
    /// ```no_run
    /// # use tripod::conformance::{Note, note};
    /// # use tripod::shard::Keyset;
    /// #[derive(tripod::Index)]
    /// #[index(name = "note_by_word", of = Note, keys = words)]
    /// struct NoteByWord;
    ///
    /// fn words(note: &note::Model) -> Vec<String> {
    ///     note.text.split_whitespace().map(str::to_lowercase).collect()
    /// }
    ///
    /// async fn about_tea(app: tripod::App) -> tripod::Result<()> {
    ///     let notes = app.cached().indexed::<NoteByWord>("tea", Keyset::newest(20)).await?;
    ///     # Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// Those of the databases; configuration, if the index is not registered.
    pub async fn indexed<I: Index>(&self, key: &str, keyset: Keyset<Id<I::Rows>>) -> Result<Rows<I::Rows>> {
        let key = stored(key);
        let List { items, next } = self.indexed_ids::<I>(key, keyset).await?;
        let ids: Vec<Id<I::Rows>> = items.into_iter().map(|(id, ())| id).collect();
        let rows = self.find_many(&ids).await?;
        let rows = rows.into_iter().filter(|row| kind::keys::<I>(row.peek()).contains(key));
        Ok(List { items: rows.map(|row| (I::Rows::id(row.peek()), row)).collect(), next })
    }

    /// The ids of the rows that name a key, as the index has them.
    ///
    /// # Errors
    /// Those of the key's database; configuration, if the index is not registered.
    pub async fn indexed_ids<I: Index>(
        &self,
        key: &str,
        keyset: Keyset<Id<I::Rows>>,
    ) -> Result<List<Id<I::Rows>, ()>> {
        Indexes::of(self.shards())?.kind(I::NAME)?;
        let (past, order, beginning) = match keyset.order {
            Order::NewestFirst => ("<", "DESC", i64::MAX),
            Order::OldestFirst => (">", "ASC", -1),
        };
        let sql = format!(
            "SELECT row_id FROM tripod_index WHERE shard = $1 AND name = $2 AND key = $3 AND row_id {past} $4 \
             ORDER BY row_id {order} LIMIT $5"
        );
        let key = stored(key);
        let shard = place(I::PREFIXES, key);
        let after = keyset.after.map_or(beginning, Id::raw);
        let limit = i64::try_from(keyset.limit).unwrap_or(i64::MAX);
        let values = super::table::key_values(shard, I::NAME, key);
        let values = values.into_iter().chain([after.into(), limit.into()]);
        let reader = self.shards().reader(shard);
        let rows = reader.query_all_raw(statement(reader, &sql, values)).await.map_err(Error::from);
        let rows = self.answered(vec![rows])?.into_iter().flatten();
        let ids = rows.map(|row| Ok((Id::from_raw(row.try_get_by_index(0)?), ())));
        Ok(List::new(ids.collect::<Result<_>>()?, keyset.limit))
    }

    /// How many rows name each of these keys; keys that no row names are left out. Makes one query per
    /// physical database.
    ///
    /// # Errors
    /// Those of the databases; configuration, if the index is not registered.
    pub async fn index_counts<I: Index>(&self, keys: &[&str]) -> Result<HashMap<String, u64>> {
        Indexes::of(self.shards())?.kind(I::NAME)?;
        let mut by_shard: IdMap<(), Vec<&str>> = IdMap::default();
        // An id of each shard, so that they can be grouped by database.
        let some_id = |shard: Shard| Id::<()>::from_raw(i64::from(shard.number()) << 10);
        for key in keys.iter().copied().map(stored) {
            by_shard.entry(some_id(place(I::PREFIXES, key))).or_default().push(key);
        }
        let shards: Vec<Id<()>> = by_shard.keys().copied().collect();
        let queries = self.shards().by_database(&shards).into_iter().map(|(database, ids)| {
            let keys: Vec<&str> = ids.iter().filter_map(|id| by_shard.get(id)).flatten().copied().collect();
            let counts = Query::select()
                .columns(["key", "count"])
                .from("tripod_index_count")
                .and_where(Expr::col("shard").is_in(ids.iter().map(|id| id.shard().number() as i16)))
                .and_where(Expr::col("name").eq(I::NAME))
                .and_where(Expr::col("key").is_in(keys))
                .take();
            async move { database.reader().query_all(&counts).await }
        });
        let rows = self.answered(join_all(queries).await)?.into_iter().flatten();
        rows.map(|row| Ok((row.try_get_by_index(0)?, count(row.try_get_by_index(1)?)))).collect()
    }

    /// The keys that begin with `prefix`, those with the most rows first, at most `limit`. Reads one
    /// database, and there all keys that begin so.
    ///
    /// Keys are sharded by their first two bytes. A prefix of a single letter of ASCII is shorter: it finds
    /// the key that is just this letter, because all others would have to be collected from every database.
    ///
    /// # Errors
    /// Those of the prefix's database; configuration, if the index is not registered, or not with prefixes.
    pub async fn index_keys<I: Index>(&self, prefix: &str, limit: u64) -> Result<Vec<IndexKey>> {
        Indexes::of(self.shards())?.kind(I::NAME)?;
        if !I::PREFIXES {
            return Err(Error::configuration(format!(
                "the keys of the index {:?} are not found by their beginnings: add `prefixes = true`",
                I::NAME
            )));
        }
        let prefix = stored(prefix);
        if prefix.is_empty() {
            return Ok(Vec::new());
        }
        // U+10FFFF sorts after every other character.
        let end = if prefix.len() < 2 { prefix.to_owned() } else { format!("{prefix}\u{10FFFF}") };
        let shard = Shard::of_text(beginning(prefix));
        let sql = "SELECT key, count FROM tripod_index_count WHERE shard = $1 AND name = $2 \
                   AND key >= $3 AND key <= $4 ORDER BY count DESC, key LIMIT $5";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = super::table::key_values(shard, I::NAME, prefix);
        let values = values.into_iter().chain([end.into(), limit.into()]);
        let reader = self.shards().reader(shard);
        let rows = reader.query_all_raw(statement(reader, sql, values)).await.map_err(Error::from);
        let rows = self.answered(vec![rows])?.into_iter().flatten();
        rows.map(|row| Ok(IndexKey { key: row.try_get_by_index(0)?, count: count(row.try_get_by_index(1)?) }))
            .collect()
    }
}

/// A count as it is stored. One below zero is that of an index whose tables were changed by hand.
fn count(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or_default()
}
