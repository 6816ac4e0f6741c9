//! The edge tables and the statements that change them, exact under concurrency on every engine.

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use crate::db::{CreateTables, Migration, Reader, statement};
use crate::error::Result;
use crate::shard::Tx;

/// Edges and their counts. `near_id` is the end whose shard holds the row; a count covers the live edges
/// at one end.
pub const MIGRATION: Migration = || {
    let end = |table: &mut sea_orm::sea_query::TableCreateStatement| {
        table
            .col(ColumnDef::new("near_id").big_integer().not_null())
            .col(ColumnDef::new("kind").text().not_null())
            .col(ColumnDef::new("direction").small_integer().not_null())
            .take()
    };
    let edge = end(&mut Table::create())
        .table("tripod_edge")
        .col(ColumnDef::new("far_id").big_integer().not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(ColumnDef::new("live").boolean().not_null())
        .primary_key(Index::create().col("near_id").col("kind").col("direction").col("far_id"))
        .take();
    let newest = Index::create()
        .name("tripod_edge_newest")
        .table("tripod_edge")
        .col("near_id")
        .col("kind")
        .col("direction")
        .col("live")
        .col("version")
        .col("far_id")
        .take();
    let count = end(&mut Table::create())
        .table("tripod_edge_count")
        .col(ColumnDef::new("count").big_integer().not_null())
        .primary_key(Index::create().col("near_id").col("kind").col("direction"))
        .take();
    CreateTables::new("m20261122_000003_tripod_edge").table(edge).table(count).index(newest).boxed()
};

/// The direction of an edge, seen from the end that stores the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    /// From here: the row is at `from`.
    Out = 0,
    /// To here: the row is at `to`.
    In = 1,
}

impl Direction {
    /// The direction with this number in the tables.
    pub(super) fn of(number: i16) -> Self {
        if number == Self::Out as i16 { Self::Out } else { Self::In }
    }
}

/// One end of an edge: where its row is, and the id at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(super) near: i64,
    pub(super) kind: &'static str,
    pub(super) direction: Direction,
    pub(super) far: i64,
}

impl End {
    /// The edge's `from` and `to`.
    pub(super) fn ends(&self) -> (i64, i64) {
        match self.direction {
            Direction::Out => (self.near, self.far),
            Direction::In => (self.far, self.near),
        }
    }

    /// The same edge, seen from its other end.
    pub(super) fn other(&self) -> Self {
        let direction = match self.direction {
            Direction::Out => Direction::In,
            Direction::In => Direction::Out,
        };
        Self { near: self.far, kind: self.kind, direction, far: self.near }
    }

    fn key(&self) -> [Value; 4] {
        [self.near.into(), self.kind.into(), (self.direction as i16).into(), self.far.into()]
    }
}

/// The key of an edge's row at the beginning of a query's result.
pub(super) fn read_key(row: &QueryResult) -> Result<(i64, String, i16, i64)> {
    Ok((
        row.try_get_by_index(0)?,
        row.try_get_by_index(1)?,
        row.try_get_by_index(2)?,
        row.try_get_by_index(3)?,
    ))
}

const KEY: &str = "near_id = $1 AND kind = $2 AND direction = $3 AND far_id = $4";

/// Changes a forward edge. Returns the change's version, or `None` if the edge is already as wanted. The
/// row lock orders concurrent changes.
pub(super) async fn change_forward(tx: &Tx, end: End, live: bool, generated: i64) -> Result<Option<i64>> {
    if live {
        claim_row(tx, end).await?;
    }
    let sql = format!(
        "UPDATE tripod_edge SET live = $5, version = CASE WHEN version < $6 THEN $6 ELSE version + 1 END \
         WHERE {KEY} AND live <> $5 RETURNING version"
    );
    let values = end.key().into_iter().chain([live.into(), generated.into()]);
    let Some(row) = tx.connection().query_one_raw(statement(tx.connection(), &sql, values)).await? else {
        return Ok(None);
    };
    count(tx, end, live).await?;
    Ok(Some(row.try_get_by_index(0)?))
}

/// Brings an inverse edge to a version, unless it has that or a later one; returns whether the count
/// changed.
pub(super) async fn write_inverse(tx: &Tx, end: End, live: bool, version: i64) -> Result<bool> {
    lock_row(tx, end).await?;
    let values = || end.key().into_iter().chain([live.into(), version.into()]);
    let change =
        format!("UPDATE tripod_edge SET live = $5, version = $6 WHERE {KEY} AND version < $6 AND live <> $5");
    if tx.execute(&change, values()).await? == 1 {
        count(tx, end, live).await?;
        return Ok(true);
    }
    let renew = format!("UPDATE tripod_edge SET version = $6 WHERE {KEY} AND version < $6 AND live = $5");
    tx.execute(&renew, values()).await?;
    Ok(false)
}

/// Deletes the row of an edge that one of whose ends is gone; returns whether the count changed.
pub(super) async fn forget(tx: &Tx, end: End) -> Result<bool> {
    let sql = format!("DELETE FROM tripod_edge WHERE {KEY} RETURNING live");
    let row = tx.connection().query_one_raw(statement(tx.connection(), &sql, end.key())).await?;
    let was_live = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false);
    if was_live {
        count(tx, end, false).await?;
    }
    Ok(was_live)
}

/// [`forget`], if the edge still has this version; returns whether the count changed.
pub(super) async fn forget_version(tx: &Tx, end: End, version: i64) -> Result<bool> {
    let sql = format!("DELETE FROM tripod_edge WHERE {KEY} AND version = $5 RETURNING live");
    let values = end.key().into_iter().chain([version.into()]);
    let row = tx.connection().query_one_raw(statement(tx.connection(), &sql, values)).await?;
    let was_live = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false);
    if was_live {
        count(tx, end, false).await?;
    }
    Ok(was_live)
}

/// Gives an edge a version above `least` and its own, if it still has `version`; returns the new one, and
/// whether the edge is live.
pub(super) async fn renew(tx: &Tx, end: End, version: i64, least: i64) -> Result<Option<(i64, bool)>> {
    let sql = format!(
        "UPDATE tripod_edge SET version = CASE WHEN version < $6 THEN $6 ELSE version END + 1 \
         WHERE {KEY} AND version = $5 RETURNING version, live"
    );
    let values = end.key().into_iter().chain([version.into(), least.into()]);
    let row = tx.connection().query_one_raw(statement(tx.connection(), &sql, values)).await?;
    row.map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).transpose()
}

/// Sets a count to the number of its edges. The count is locked first: a writer that has changed an edge and
/// not yet the count adds its change later, and all others are seen.
pub(super) async fn recount(tx: &Tx, end: End) -> Result<()> {
    let [near, kind, direction, _] = end.key();
    let lock = "INSERT INTO tripod_edge_count (near_id, kind, direction, count) VALUES ($1, $2, $3, 0) \
                ON CONFLICT (near_id, kind, direction) DO UPDATE SET count = tripod_edge_count.count";
    tx.execute(lock, [near.clone(), kind.clone(), direction.clone()]).await?;
    let recount = "UPDATE tripod_edge_count SET count = (SELECT COUNT(*) FROM tripod_edge \
                   WHERE near_id = $1 AND kind = $2 AND direction = $3 AND live = TRUE) \
                   WHERE near_id = $1 AND kind = $2 AND direction = $3";
    tx.execute(recount, [near, kind, direction]).await.map(drop)
}

/// Deletes the counts at an end without edges.
pub(super) async fn forget_counts(tx: &Tx, near: i64) -> Result<()> {
    let sql = "DELETE FROM tripod_edge_count WHERE near_id = $1 \
               AND NOT EXISTS (SELECT 1 FROM tripod_edge WHERE near_id = $1)";
    tx.execute(sql, [near.into()]).await.map(drop)
}

/// Whether a row that this transaction has deleted has edges, live or removed. One whose inverse is still to
/// be written finds no row then, and is removed.
pub(super) async fn has_edges(tx: &Tx, near: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM tripod_edge WHERE near_id = $1 LIMIT 1";
    let edge = tx.connection().query_one_raw(statement(tx.connection(), sql, [near.into()])).await?;
    Ok(edge.is_some())
}

/// The version of a forward edge, and whether it is live; `None` if it never existed or is forgotten.
pub(super) async fn find(reader: &Reader, end: End) -> Result<Option<(i64, bool)>> {
    let sql = format!("SELECT version, live FROM tripod_edge WHERE {KEY}");
    let row = reader.query_one_raw(statement(reader, &sql, end.key())).await?;
    row.map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).transpose()
}

/// Whether a live edge of this kind joins two rows, in either direction, according to the shard of `near`.
pub(super) async fn are_joined(tx: &Tx, kind: &str, near: i64, far: i64) -> Result<bool> {
    let sql = "SELECT 1 FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction IN (0, 1) \
               AND far_id = $3 AND live = TRUE LIMIT 1";
    let values = [near.into(), kind.into(), far.into()];
    Ok(tx.connection().query_one_raw(statement(tx.connection(), sql, values)).await?.is_some())
}

/// Ensures that there is a row to lock; a new row stands for an edge that never existed.
async fn claim_row(tx: &Tx, end: End) -> Result<()> {
    let sql = "INSERT INTO tripod_edge (near_id, kind, direction, far_id, version, live) \
               VALUES ($1, $2, $3, $4, 0, FALSE) ON CONFLICT DO NOTHING";
    tx.execute(sql, end.key()).await.map(drop)
}

/// The same, with the row locked until the transaction ends. Otherwise, while an older version is being
/// written, the first of the following statements may find nothing to change, and the second may find
/// nothing once that version is written.
async fn lock_row(tx: &Tx, end: End) -> Result<()> {
    let sql = "INSERT INTO tripod_edge (near_id, kind, direction, far_id, version, live) \
               VALUES ($1, $2, $3, $4, 0, FALSE) \
               ON CONFLICT (near_id, kind, direction, far_id) DO UPDATE SET version = tripod_edge.version";
    tx.execute(sql, end.key()).await.map(drop)
}

async fn count(tx: &Tx, end: End, live: bool) -> Result<()> {
    let step: i64 = if live { 1 } else { -1 };
    let sql = "INSERT INTO tripod_edge_count (near_id, kind, direction, count) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (near_id, kind, direction) DO UPDATE SET count = tripod_edge_count.count + excluded.count";
    let [near, kind, direction, _] = end.key();
    tx.execute(sql, [near, kind, direction, step.into()]).await.map(drop)
}
