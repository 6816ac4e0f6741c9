//! Rebuilding an index while the app serves: what is wrong is removed, what is missing is added.
//!
//! Nothing that is right is touched, so that readers miss nothing meanwhile. Each database remembers how far
//! it is, after each page: a rebuild that was killed continues there.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::Indexes;
use super::kind::{IndexKind, Keys, KeysOfRows};
use super::table::{self, Entry};
use crate::db::{Database, statement};
use crate::error::{Error, Result};
use crate::id::Shard;

/// Entries or rows that are looked at together.
const PAGE: u64 = 500;
/// Entries per query for those that are there.
const PRESENT: usize = 2_000;

/// How far the rebuild of an index has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilding {
    /// The index.
    pub index: &'static str,
    /// Entries and rows that have been checked since this process began.
    pub done: u64,
    /// Entries and rows in all, about.
    pub total: u64,
}

/// The place that a database has reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Reached {
    /// The last entry that was checked.
    Entry { shard: u16, key: String, row: i64 },
    /// The last row whose entries were checked.
    Row(i64),
    /// The end.
    Done,
}

impl Indexes {
    /// Makes an index match its rows: removes entries that no row names, adds those that are missing, and
    /// counts the keys anew. Rows may be written meanwhile, by this process or others; afterwards, once the
    /// jobs of these writes have run, the index is exact. If the rebuild was interrupted, it continues.
    /// `progress` is called after each page.
    ///
    /// # Errors
    /// Configuration, if the index is not registered; those of the databases.
    pub async fn rebuild(&self, name: &str, progress: impl Fn(Rebuilding) + Send + Sync) -> Result<()> {
        let kind = self.kind(name)?;
        let databases = self.0.shards.databases();
        let mut state = Rebuilding { index: kind.name, done: 0, total: 0 };
        let mut reached = Vec::new();
        for database in databases {
            let place = read_reached(database, kind.name).await?;
            if !matches!(place, Some(Reached::Done)) {
                state.total += size(database, kind).await?;
            }
            reached.push(place);
        }
        progress(state);
        for (number, (database, place)) in databases.iter().zip(reached).enumerate() {
            let mut place = place.unwrap_or(Reached::Entry { shard: 0, key: String::new(), row: -1 });
            while !matches!(place, Reached::Done) {
                let (checked, next) = match &place {
                    Reached::Entry { .. } => self.check_entries(kind, database, &place).await?,
                    Reached::Row(row) => self.check_rows(kind, number, *row).await?,
                    Reached::Done => break,
                };
                write_reached(database, kind.name, &next).await?;
                place = next;
                state.done += checked;
                progress(state);
            }
        }
        for database in databases {
            forget_reached(database, kind.name).await?;
        }
        Ok(())
    }

    /// Checks the next entries of a database against their rows, and the counts of their keys.
    async fn check_entries(
        &self,
        kind: &IndexKind,
        database: &Database,
        reached: &Reached,
    ) -> Result<(u64, Reached)> {
        let entries = entries_after(database, kind.name, reached).await?;
        let rows: BTreeSet<i64> = entries.iter().map(|entry| entry.row).collect();
        let now = (kind.keys_of)(self.0.shards.clone(), rows.into_iter().collect()).await?;
        let mut wrong: BTreeMap<i64, Keys> = BTreeMap::new();
        for entry in &entries {
            let is_named = now.get(&entry.row).is_some_and(|keys| keys.contains(&entry.key));
            if !is_named || kind.place(&entry.key) != entry.shard {
                wrong.entry(entry.row).or_default().insert(entry.key.clone());
            }
        }
        for (row, keys) in &wrong {
            self.bring_up_to_date(kind, *row, keys).await?;
        }
        let misplaced = entries.iter().filter(|entry| kind.place(&entry.key) != entry.shard);
        table::write(&self.0.shards, kind.name, misplaced.map(|entry| (entry.clone(), false))).await?;
        let keys: BTreeSet<(Shard, String)> =
            entries.iter().map(|entry| (entry.shard, entry.key.clone())).collect();
        self.check_counts(kind, database, &keys).await?;
        match entries.last() {
            Some(last) if entries.len() as u64 == PAGE => {
                let next =
                    Reached::Entry { shard: last.shard.number(), key: last.key.clone(), row: last.row };
                Ok((PAGE, next))
            }
            _ => {
                self.forget_counts_of_nothing(kind, database).await?;
                Ok((entries.len() as u64, Reached::Row(-1)))
            }
        }
    }

    /// Adds what is missing of the next rows of a database.
    async fn check_rows(&self, kind: &IndexKind, database: usize, after: i64) -> Result<(u64, Reached)> {
        let shards = &self.0.shards;
        let rows = (kind.page_of_keys)(shards.clone(), database, after, PAGE).await?;
        let named = rows.iter().flat_map(|(row, keys)| {
            keys.iter().map(|key| Entry { shard: kind.place(key), key: key.clone(), row: *row })
        });
        let missing = self.missing(kind, named.collect()).await?;
        if !missing.is_empty() {
            table::write(shards, kind.name, missing.iter().map(|entry| (entry.clone(), true))).await?;
            let written: BTreeSet<i64> = missing.iter().map(|entry| entry.row).collect();
            let now = (kind.keys_of)(shards.clone(), written.into_iter().collect()).await?;
            for (row, keys) in changed_since(&missing, &now) {
                self.bring_up_to_date(kind, row, &keys).await?;
            }
        }
        let next = match rows.last() {
            Some((last, _)) if rows.len() as u64 == PAGE => Reached::Row(*last),
            _ => Reached::Done,
        };
        Ok((rows.len() as u64, next))
    }

    /// The entries among these that are not there.
    async fn missing(&self, kind: &IndexKind, entries: Vec<Entry>) -> Result<Vec<Entry>> {
        let mut by_database: BTreeMap<&str, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            by_database.entry(self.0.shards.database(entry.shard).name()).or_default().push(entry);
        }
        let mut missing = Vec::new();
        for entries in by_database.into_values() {
            for some in entries.chunks(PRESENT) {
                let present = table::present(&self.0.shards, kind.name, some).await?;
                missing.extend(some.iter().filter(|entry| !present.contains(entry)).cloned());
            }
        }
        Ok(missing)
    }
}

/// The keys of entries whose rows do not name them any more.
fn changed_since(written: &[Entry], now: &KeysOfRows) -> BTreeMap<i64, Keys> {
    let mut changed: BTreeMap<i64, Keys> = BTreeMap::new();
    for entry in written {
        if !now.get(&entry.row).is_some_and(|keys| keys.contains(&entry.key)) {
            changed.entry(entry.row).or_default().insert(entry.key.clone());
        }
    }
    changed
}

/// How many entries and rows there are to check.
async fn size(database: &Database, kind: &IndexKind) -> Result<u64> {
    let sql = format!(
        "SELECT (SELECT COALESCE(SUM(count), 0) FROM tripod_index_count WHERE name = $1) + \
         (SELECT COUNT(*) FROM \"{}\")",
        kind.table
    );
    let sql = format!("SELECT CAST(({sql}) AS bigint)");
    let row = database.reader().query_one_raw(statement(database.reader(), &sql, [kind.name.into()])).await?;
    let size: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(size.unwrap_or_default().max(0) as u64)
}

async fn entries_after(database: &Database, name: &str, reached: &Reached) -> Result<Vec<Entry>> {
    let (shard, key, row) = match reached {
        Reached::Entry { shard, key, row } => (*shard as i16, key.as_str(), *row),
        Reached::Row(_) | Reached::Done => return Ok(Vec::new()),
    };
    let sql = "SELECT shard, key, row_id FROM tripod_index WHERE name = $1 AND (shard, key, row_id) > ($2, $3, $4) \
               AND shard IN (SELECT shard FROM tripod_shard WHERE state = 'active') \
               ORDER BY shard, key, row_id LIMIT $5";
    let values = [name.into(), shard.into(), key.into(), row.into(), (PAGE as i64).into()];
    let rows = database.reader().query_all_raw(statement(database.reader(), sql, values)).await?;
    rows.iter().map(table::entry).collect()
}

async fn read_reached(database: &Database, name: &str) -> Result<Option<Reached>> {
    let sql = "SELECT reached FROM tripod_index_rebuild WHERE name = $1";
    let row = database.reader().query_one_raw(statement(database.reader(), sql, [name.into()])).await?;
    let Some(row) = row else { return Ok(None) };
    let reached: String = row.try_get_by_index(0)?;
    let reached = serde_json::from_str(&reached);
    reached.map(Some).map_err(|error| Error::internal("the place of a rebuild can't be read").because(error))
}

async fn write_reached(database: &Database, name: &'static str, reached: &Reached) -> Result<()> {
    let reached = serde_json::to_string(reached)
        .map_err(|error| Error::internal("the place of a rebuild can't be written").because(error))?;
    let write = database.write(move |transaction| async move {
        let sql = "INSERT INTO tripod_index_rebuild (name, reached) VALUES ($1, $2) \
                   ON CONFLICT (name) DO UPDATE SET reached = excluded.reached";
        let values = [name.into(), reached.into()];
        Ok(transaction.execute_raw(statement(&transaction, sql, values)).await.map(drop)?)
    });
    write.await
}

async fn forget_reached(database: &Database, name: &'static str) -> Result<()> {
    let forget = database.write(move |transaction| async move {
        let sql = "DELETE FROM tripod_index_rebuild WHERE name = $1";
        Ok(transaction.execute_raw(statement(&transaction, sql, [name.into()])).await.map(drop)?)
    });
    forget.await
}
