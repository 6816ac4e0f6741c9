//! Checking the counts of keys against their entries.

use std::collections::{BTreeSet, HashMap};

use sea_orm::ConnectionTrait;
use sea_orm::ExprTrait;
use sea_orm::sea_query::{Alias, Expr, Func, Query};

use super::Indexes;
use super::kind::IndexKind;
use super::table;
use crate::db::{Database, statement};
use crate::error::Result;
use crate::id::Shard;

/// Keys that are looked at together.
const PAGE: u64 = 500;

impl Indexes {
    /// Counts those of these keys of a database anew whose counts differ from the number of their entries.
    pub(super) async fn check_counts(
        &self,
        kind: &IndexKind,
        database: &Database,
        keys: &BTreeSet<(Shard, String)>,
    ) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let of_keys = |query: &mut sea_orm::sea_query::SelectStatement| {
            let shards: BTreeSet<i16> = keys.iter().map(|(shard, _)| shard.number() as i16).collect();
            query
                .and_where(Expr::col("shard").is_in(shards))
                .and_where(Expr::col("name").eq(kind.name))
                .and_where(Expr::col("key").is_in(keys.iter().map(|(_, key)| key.as_str())))
                .take()
        };
        let counts = of_keys(Query::select().columns(["shard", "key", "count"]).from("tripod_index_count"));
        let entries = of_keys(
            Query::select()
                .columns(["shard", "key"])
                .expr(Func::cast_as(Expr::cust("COUNT(*)"), Alias::new("bigint")))
                .from("tripod_index")
                .group_by_columns(["shard", "key"]),
        );
        let [counted, present] = [read(database, &counts).await?, read(database, &entries).await?];
        for (shard, key) in keys {
            let at = (shard.number() as i16, key.clone());
            if counted.get(&at) != present.get(&at) {
                table::recount(&self.0.shards, kind.name, *shard, key.clone()).await?;
            }
        }
        Ok(())
    }

    /// Deletes the counts of keys without entries.
    pub(super) async fn forget_counts_of_nothing(&self, kind: &IndexKind, database: &Database) -> Result<()> {
        let sql = "SELECT shard, key FROM tripod_index_count c WHERE name = $1 AND (shard, key) > ($2, $3) \
                   AND shard IN (SELECT shard FROM tripod_shard WHERE state = 'active') \
                   AND NOT EXISTS (SELECT 1 FROM tripod_index i WHERE i.shard = c.shard AND i.name = c.name \
                                   AND i.key = c.key) ORDER BY shard, key LIMIT $4";
        let (mut shard, mut key) = (-1i16, String::new());
        loop {
            let values = [kind.name.into(), shard.into(), key.as_str().into(), (PAGE as i64).into()];
            let rows = database.reader().query_all_raw(statement(database.reader(), sql, values)).await?;
            for row in &rows {
                (shard, key) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                table::recount(&self.0.shards, kind.name, Shard::new(shard as u16)?, key.clone()).await?;
            }
            if (rows.len() as u64) < PAGE {
                return Ok(());
            }
        }
    }
}

async fn read(
    database: &Database,
    query: &sea_orm::sea_query::SelectStatement,
) -> Result<HashMap<(i16, String), i64>> {
    let rows = database.reader().query_all(query).await?;
    rows.iter()
        .map(|row| Ok(((row.try_get_by_index(0)?, row.try_get_by_index(1)?), row.try_get_by_index(2)?)))
        .collect()
}
