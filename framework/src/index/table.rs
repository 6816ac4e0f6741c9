//! The tables of entries and counts, and the statements that change them, exact under concurrency on every
//! engine.

use std::collections::BTreeMap;

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, Value};

use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::shard::{Shards, Tx};

/// The entries of all indexes, the number of entries of each key, and how far rebuilds have come. Keys are
/// sorted by code point on every engine.
pub const MIGRATION: Migration = || {
    let entry = Table::create()
        .table("tripod_index")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("key").text().not_null())
        .col(ColumnDef::new("row_id").big_integer().not_null())
        .primary_key(Index::create().col("shard").col("name").col("key").col("row_id"))
        .take();
    let count = Table::create()
        .table("tripod_index_count")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("key").text().not_null())
        .col(ColumnDef::new("count").big_integer().not_null())
        .primary_key(Index::create().col("shard").col("name").col("key"))
        .take();
    let rebuild = Table::create()
        .table("tripod_index_rebuild")
        .col(ColumnDef::new("name").text().not_null().primary_key())
        .col(ColumnDef::new("reached").text().not_null())
        .take();
    CreateTables::new("m20261128_000001_tripod_index")
        .table(entry)
        .table(count)
        .table(rebuild)
        .postgres("ALTER TABLE tripod_index ALTER COLUMN key TYPE text COLLATE \"C\"")
        .postgres("ALTER TABLE tripod_index_count ALTER COLUMN key TYPE text COLLATE \"C\"")
        .boxed()
};

/// An entry of an index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) shard: Shard,
    pub(super) key: String,
    pub(super) row: i64,
}

/// Brings entries to this state, with the counts of their keys: one transaction for each database, all at the
/// same time.
pub(super) async fn write(
    shards: &Shards,
    name: &'static str,
    entries: impl IntoIterator<Item = (Entry, bool)>,
) -> Result<()> {
    let mut by_database: BTreeMap<usize, Vec<(Entry, bool)>> = BTreeMap::new();
    for (entry, live) in entries {
        by_database.entry(shards.database_index(entry.shard)).or_default().push((entry, live));
    }
    let writes = by_database.into_iter().map(|(database, mut entries)| {
        // In one order in every process, so that no two wait for each other.
        entries.sort();
        let on = entries.iter().map(|(entry, _)| entry.shard).collect();
        shards.write_each(database, on, move |passed| async move {
            let on = |shard: Shard| {
                let moved = || Error::unavailable(format!("{shard} is not held by this database (any more)"));
                passed.get(&shard).ok_or_else(moved)
            };
            let mut counted: BTreeMap<(Shard, String), i64> = BTreeMap::new();
            for (entry, live) in entries {
                let step = change_entry(on(entry.shard)?, name, &entry, live).await?;
                *counted.entry((entry.shard, entry.key)).or_default() += step;
            }
            for ((shard, key), step) in counted.iter().filter(|(_, step)| **step != 0) {
                change_count(on(*shard)?, name, key, *step).await?;
            }
            Ok(())
        })
    });
    futures::future::try_join_all(writes).await.map(drop)
}

/// Adds or removes an entry. Returns by how much that changes the key's count.
async fn change_entry(tx: &Tx, name: &str, entry: &Entry, live: bool) -> Result<i64> {
    let sql = match live {
        true => {
            "INSERT INTO tripod_index (shard, name, key, row_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
        }
        false => "DELETE FROM tripod_index WHERE shard = $1 AND name = $2 AND key = $3 AND row_id = $4",
    };
    let [shard, name, key] = key_values(tx.shard(), name, &entry.key);
    let changed = tx.execute(sql, [shard, name, key, entry.row.into()]).await?;
    Ok(if live { changed as i64 } else { -(changed as i64) })
}

async fn change_count(tx: &Tx, name: &str, key: &str, step: i64) -> Result<()> {
    let sql = "INSERT INTO tripod_index_count (shard, name, key, count) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (shard, name, key) DO UPDATE SET count = tripod_index_count.count + excluded.count";
    let [shard, name, key] = key_values(tx.shard(), name, key);
    tx.execute(sql, [shard.clone(), name.clone(), key.clone(), step.into()]).await?;
    if step < 0 {
        let sql = "DELETE FROM tripod_index_count WHERE shard = $1 AND name = $2 AND key = $3 AND count = 0";
        tx.execute(sql, [shard, name, key]).await?;
    }
    Ok(())
}

/// Counts the entries of a key anew. The count is locked first: whoever has changed an entry and not yet
/// committed changes the count after this.
pub(super) async fn recount(shards: &Shards, name: &'static str, shard: Shard, key: String) -> Result<()> {
    let recount = shards.write(shard, move |tx| async move {
        let values = || key_values(shard, name, &key);
        let lock = "INSERT INTO tripod_index_count (shard, name, key, count) VALUES ($1, $2, $3, 0) \
                    ON CONFLICT (shard, name, key) DO UPDATE SET count = tripod_index_count.count";
        tx.execute(lock, values()).await?;
        let count = "UPDATE tripod_index_count SET count = (SELECT COUNT(*) FROM tripod_index \
                     WHERE shard = $1 AND name = $2 AND key = $3) WHERE shard = $1 AND name = $2 AND key = $3";
        tx.execute(count, values()).await?;
        let none = "DELETE FROM tripod_index_count WHERE shard = $1 AND name = $2 AND key = $3 AND count = 0";
        tx.execute(none, values()).await.map(drop)
    });
    recount.await
}

/// The entries among these that are there, which live on one database.
pub(super) async fn present(
    shards: &Shards,
    name: &str,
    entries: &[Entry],
) -> Result<std::collections::HashSet<Entry>> {
    let mut found = std::collections::HashSet::new();
    let Some(first) = entries.first() else { return Ok(found) };
    let reader = shards.reader(first.shard);
    let (mut rows, mut values) = (Vec::new(), vec![Value::from(name)]);
    for entry in entries {
        let at = values.len();
        rows.push(format!(
            "(CAST(${} AS integer), CAST(${} AS text), CAST(${} AS bigint))",
            at + 1,
            at + 2,
            at + 3
        ));
        values.extend([i32::from(entry.shard.number()).into(), entry.key.as_str().into(), entry.row.into()]);
    }
    let sql = format!(
        "WITH wanted (shard, key, row_id) AS (VALUES {}) SELECT i.shard, i.key, i.row_id FROM wanted \
         JOIN tripod_index i ON i.shard = wanted.shard AND i.name = $1 AND i.key = wanted.key \
         AND i.row_id = wanted.row_id",
        rows.join(", ")
    );
    for row in reader.query_all_raw(statement(reader, &sql, values)).await? {
        found.insert(entry(&row)?);
    }
    Ok(found)
}

/// An entry, read as shard, key and row.
pub(super) fn entry(row: &sea_orm::QueryResult) -> Result<Entry> {
    let shard: i16 = row.try_get_by_index(0)?;
    Ok(Entry {
        shard: Shard::new(shard as u16)?,
        key: row.try_get_by_index(1)?,
        row: row.try_get_by_index(2)?,
    })
}

/// What a key's entries and its count are found by.
pub(super) fn key_values(shard: Shard, name: &str, key: &str) -> [Value; 3] {
    [(shard.number() as i16).into(), name.into(), key.into()]
}
