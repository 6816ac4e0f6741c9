//! The outbox table and its statements.
//!
//! One column serves both waiting and leasing: a job may be claimed once `run_at_ms` has passed, and
//! claiming it sets `run_at_ms` to the end of the lease. If a worker dies, its jobs become due at that
//! time.

use futures::future::try_join_all;
use sea_orm::sea_query::{ColumnDef, Expr, Index, Query, Table};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExprTrait, QueryResult, Value};

use super::job::Unique;
use crate::db::{CreateTables, Database, Migration, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard, shard_of_id_sql};
use crate::shard::{Shards, Tx};

/// The outbox table.
pub const MIGRATION: Migration = || {
    let job = Table::create()
        .table("tripod_job")
        .col(ColumnDef::new("id").big_integer().not_null().primary_key())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("payload").text().not_null())
        .col(ColumnDef::new("run_at_ms").big_integer().not_null())
        .col(ColumnDef::new("attempt").integer().not_null())
        .col(ColumnDef::new("dead").boolean().not_null())
        .col(ColumnDef::new("last_error").text())
        .take();
    let due = Index::create().name("tripod_job_due").table("tripod_job").col("dead").col("run_at_ms").take();
    CreateTables::new("m20261122_000002_tripod_job").table(job).index(due).boxed()
};

/// The type parameter of [`JobId`](super::JobId).
#[derive(Debug)]
pub struct Queued;

/// A job that this process has leased.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) payload: String,
    pub(super) attempt: u32,
}

/// A job that was set aside as dead.
#[derive(Clone, Debug)]
pub(super) struct Dead {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) payload: String,
    pub(super) attempt: u32,
    pub(super) last_error: Option<String>,
}

impl Claim {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let (id, name, payload) =
            (row.try_get("", "id")?, row.try_get("", "name")?, row.try_get("", "payload")?);
        Ok(Self { id, name, payload, attempt: attempt(row)? })
    }
}

impl Dead {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let Claim { id, name, payload, attempt } = Claim::read(row)?;
        Ok(Self { id, name, payload, attempt, last_error: row.try_get("", "last_error")? })
    }
}

/// Databases have no unsigned integers.
fn attempt(row: &QueryResult) -> Result<u32, DbErr> {
    let attempt: i32 = row.try_get("", "attempt")?;
    u32::try_from(attempt).map_err(|_| DbErr::Type(format!("a job was tried {attempt} times")))
}

/// The statements, on the database that holds the job's shard.
#[derive(Clone)]
pub(super) struct Store {
    pub(super) shards: Shards,
    pub(super) lease_ms: u64,
}

impl Store {
    pub(super) async fn insert(
        &self,
        tx: &Tx,
        name: &str,
        payload: String,
        delay_ms: u64,
        unique: Option<Unique>,
    ) -> Result<Id<Queued>> {
        let unique_key = unique.map(|unique| unique_key(tx.shard(), name, unique));
        if let Some(key) = &unique_key
            && let Some(there) = self.find_unique(tx, key).await?
        {
            return Ok(there);
        }
        let run_at_ms = self.now_ms() + delay_ms;
        let sql = "INSERT INTO tripod_job (id, name, payload, run_at_ms, attempt, dead, unique_key) \
                   VALUES ($1, $2, $3, $4, 0, FALSE, $5)";
        let row = |id: Id<Queued>| {
            vec![id.into(), name.into(), payload.clone().into(), int(run_at_ms), unique_key.clone().into()]
        };
        tx.insert_raw(sql, row).await
    }

    /// The job with this key. It is locked, so that it exists until this transaction ends; until then no
    /// other transaction enqueues one.
    async fn find_unique(&self, tx: &Tx, key: &str) -> Result<Option<Id<Queued>>> {
        let connection = tx.connection();
        if connection.get_database_backend() == DbBackend::Postgres {
            let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
            connection.query_one_raw(statement(connection, lock, [key.into()])).await?;
        }
        let mut job = Query::select().column("id").from("tripod_job").take();
        job.and_where(Expr::col("unique_key").eq(key)).lock_exclusive();
        let row = connection.query_one(&job).await?;
        row.map(|row| Ok(Id::from_raw(row.try_get_by_index(0)?))).transpose()
    }

    /// Leases up to `limit` due jobs with these names. Counts the attempt now, so that a job that kills
    /// its process also runs out of attempts.
    pub(super) async fn claim(
        &self,
        database: &Database,
        names: &[&'static str],
        limit: usize,
    ) -> Result<Vec<Claim>> {
        let (now, until) = (self.now_ms(), self.now_ms() + self.lease_ms);
        let names: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
        let places: Vec<String> = (0..names.len()).map(|n| format!("${}", n + 4)).collect();
        let places = places.join(", ");
        database
            .write(move |transaction| {
                async move {
                    let skip = match transaction.get_database_backend() {
                        DbBackend::Postgres => "FOR UPDATE SKIP LOCKED",
                        _ => "",
                    };
                    let shard = shard_of_id_sql("id");
                    // Materialized, so that the limit holds: PostgreSQL may run a plain subquery again
                    // for each row that it updates, and would lease jobs that no worker begins.
                    let sql = format!(
                        "WITH due AS MATERIALIZED (\
                           SELECT id FROM tripod_job WHERE dead = FALSE AND run_at_ms <= $2 AND name IN ({places}) \
                           AND {shard} IN (SELECT shard FROM tripod_shard WHERE state = 'active') \
                           ORDER BY run_at_ms LIMIT $3 {skip}) \
                         UPDATE tripod_job SET run_at_ms = $1, attempt = attempt + 1, \
                         unique_key = CASE WHEN unique_key LIKE 'waiting:%' THEN NULL ELSE unique_key END \
                         WHERE id IN (SELECT id FROM due) RETURNING id, name, payload, attempt"
                    );
                    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                    let values = [int(until), int(now), limit.into()].into_iter().chain(names);
                    let rows = transaction.query_all_raw(statement(&transaction, &sql, values)).await?;
                    Ok(rows.iter().map(Claim::read).collect::<Result<_, _>>()?)
                }
            })
            .await
    }

    /// Renews the lease. `false` if it was lost.
    pub(super) async fn renew(&self, claim: &Claim) -> Result<bool> {
        let until = int(self.now_ms() + self.lease_ms);
        self.fenced(
            claim,
            "UPDATE tripod_job SET run_at_ms = $3 WHERE id = $1 AND attempt = $2 AND dead = FALSE",
            [until],
        )
        .await
    }

    pub(super) async fn checkpoint(&self, claim: &Claim, payload: String) -> Result<()> {
        let until = int(self.now_ms() + self.lease_ms);
        let sql = "UPDATE tripod_job SET run_at_ms = $3, payload = $4 WHERE id = $1 AND attempt = $2 AND dead = FALSE";
        match self.fenced(claim, sql, [until, payload.into()]).await? {
            true => Ok(()),
            false => Err(Error::conflict(format!("the lease of job {} ({}) was lost", claim.id, claim.name))),
        }
    }

    /// Deletes a job that is done. `false` if the lease was lost.
    pub(super) async fn complete(&self, claim: &Claim) -> Result<bool> {
        self.fenced(claim, "DELETE FROM tripod_job WHERE id = $1 AND attempt = $2", []).await
    }

    /// Deletes a job that no worker has begun. `false` if one has, or the job is gone.
    pub(super) async fn cancel(&self, id: i64) -> Result<bool> {
        let never_begun = Claim { id, name: String::new(), payload: String::new(), attempt: 0 };
        self.complete(&never_begun).await
    }

    pub(super) async fn cancel_in(&self, tx: &Tx, id: i64) -> Result<bool> {
        if Shard::of_id(id) != tx.shard() {
            return Err(Error::internal(format!("the job {id} can't be cancelled on {}", tx.shard())));
        }
        let sql = "DELETE FROM tripod_job WHERE id = $1 AND attempt = 0";
        Ok(tx.execute(sql, [id.into()]).await? == 1)
    }

    /// Makes a waiting job due now. `false` if it has begun or is gone.
    pub(super) async fn run_now(&self, id: i64) -> Result<bool> {
        let sql = "UPDATE tripod_job SET run_at_ms = $2 WHERE id = $1 AND attempt = 0";
        self.by_id(id, sql, vec![int(self.now_ms())]).await
    }

    /// Records a failed attempt. The job runs again at `run_at_ms`, or never if `None`.
    pub(super) async fn fail(&self, claim: &Claim, why: String, run_at_ms: Option<u64>) -> Result<bool> {
        let sql = "UPDATE tripod_job SET last_error = $3, run_at_ms = $4, dead = $5, \
             unique_key = CASE WHEN $5 THEN NULL ELSE unique_key END WHERE id = $1 AND attempt = $2";
        let values = [why.into(), int(run_at_ms.unwrap_or(self.now_ms())), run_at_ms.is_none().into()];
        self.fenced(claim, sql, values).await
    }

    /// Runs a statement that takes effect only while the claim's attempt is the current one.
    async fn fenced(
        &self,
        claim: &Claim,
        sql: &'static str,
        more: impl IntoIterator<Item = Value>,
    ) -> Result<bool> {
        let values: Vec<Value> =
            [claim.id.into(), i64::from(claim.attempt).into()].into_iter().chain(more).collect();
        self.one_row(claim.id, sql, values).await
    }

    pub(super) async fn dead(&self) -> Result<Vec<Dead>> {
        let sql =
            "SELECT id, name, payload, attempt, last_error FROM tripod_job WHERE dead = TRUE ORDER BY id";
        self.everywhere(sql, Dead::read).await
    }

    /// The number of jobs that wait or run, by name.
    pub(super) async fn waiting(&self) -> Result<Vec<(String, i64)>> {
        let sql = "SELECT name, COUNT(*) FROM tripod_job WHERE dead = FALSE GROUP BY name";
        self.everywhere(sql, |row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).await
    }

    /// Restores a dead job's attempts. `false` if there is no such job.
    pub(super) async fn retry(&self, id: i64) -> Result<bool> {
        let sql =
            "UPDATE tripod_job SET dead = FALSE, attempt = 0, run_at_ms = $2 WHERE id = $1 AND dead = TRUE";
        self.by_id(id, sql, vec![int(self.now_ms())]).await
    }

    /// Deletes a dead job. `false` if there is no such job.
    pub(super) async fn discard(&self, id: i64) -> Result<bool> {
        self.by_id(id, "DELETE FROM tripod_job WHERE id = $1 AND dead = TRUE", vec![]).await
    }

    async fn by_id(&self, id: i64, sql: &'static str, more: Vec<Value>) -> Result<bool> {
        self.one_row(id, sql, std::iter::once(id.into()).chain(more).collect()).await
    }

    /// Runs a statement on the shard of a job's id; whether it found the job.
    async fn one_row(&self, id: i64, sql: &'static str, values: Vec<Value>) -> Result<bool> {
        let work = move |tx: Tx| async move { Ok(tx.execute(sql, values).await? == 1) };
        self.shards.write(Shard::of_id(id), work).await
    }

    async fn everywhere<T>(
        &self,
        sql: &str,
        read: impl Fn(&sea_orm::QueryResult) -> Result<T, sea_orm::DbErr>,
    ) -> Result<Vec<T>> {
        let queries = self.shards.databases().iter().map(async |database| {
            let reader = database.reader();
            reader.query_all_raw(statement(reader, sql, [])).await
        });
        let rows = try_join_all(queries).await?.into_iter().flatten();
        Ok(rows.map(|row| read(&row)).collect::<Result<_, _>>()?)
    }

    fn now_ms(&self) -> u64 {
        self.shards.clock().now_ms()
    }
}

/// A job's key, unique in its database. It contains the shard: uniqueness is per shard, and moves with
/// it.
fn unique_key(shard: Shard, name: &str, unique: Unique) -> String {
    let (state, key) = match unique {
        Unique::WhileWaiting(key) => ("waiting", key),
        Unique::UntilDone(key) => ("running", key),
    };
    format!("{state}:{}:{name}:{key}", shard.number())
}

fn int(ms: u64) -> Value {
    Value::from(i64::try_from(ms).unwrap_or(i64::MAX))
}
