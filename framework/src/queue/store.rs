//! The outbox table and its statements.
//!
//! One column serves both waiting and leasing: a job may be claimed once `run_at_ms` has passed, and
//! claiming it sets `run_at_ms` to the end of the lease. If a worker dies, its jobs become due at that
//! time.
//!
//! Times are the database's, so that processes whose clocks differ agree on what is due. Beside each is the
//! wait that it was made of: a time that is further ahead was set while the clock was wrong, and is void.

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

/// What tells a running job from a waiting one, a void time from a far one, and an attempt that a store
/// prevented from one that failed.
pub const WAITS_MIGRATION: Migration = || {
    CreateTables::new("m20261128_000001_tripod_job_waits")
        .sql("ALTER TABLE tripod_job ADD COLUMN wait_ms BIGINT")
        .sql("ALTER TABLE tripod_job ADD COLUMN leased BOOLEAN NOT NULL DEFAULT FALSE")
        .sql("ALTER TABLE tripod_job ADD COLUMN excused INTEGER NOT NULL DEFAULT 0")
        .boxed()
};

/// A time may be this much further ahead than the wait it was made of: a transaction's time is that of its
/// first statement, and a version without waits leases for less.
const TOLERANCE_MS: i64 = 60_000;

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
    /// How many of the attempts do not count.
    pub(super) excused: u32,
}

/// How an attempt that did not complete its job ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    /// The job runs again after this wait.
    Retried { wait_ms: u64 },
    /// A store was away: the job runs again after this wait, and the attempt does not count.
    Excused { wait_ms: u64 },
    /// It was the last attempt.
    Final,
}

impl Claim {
    fn read(row: &QueryResult) -> Result<Self, DbErr> {
        let (id, name, payload) =
            (row.try_get("", "id")?, row.try_get("", "name")?, row.try_get("", "payload")?);
        let (attempt, excused) = (count(row, "attempt")?, count(row, "excused")?);
        Ok(Self { id, name, payload, attempt, excused })
    }

    /// The number of attempts that count.
    pub(super) fn counted(&self) -> u32 {
        self.attempt.saturating_sub(self.excused)
    }
}

/// Databases have no unsigned integers.
pub(super) fn count(row: &QueryResult, column: &str) -> Result<u32, DbErr> {
    let count: i32 = row.try_get("", column)?;
    u32::try_from(count).map_err(|_| DbErr::Type(format!("a job's {column} is {count}")))
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
        let sql = "INSERT INTO tripod_job (id, name, payload, run_at_ms, wait_ms, attempt, dead, unique_key) \
                   VALUES ($1, $2, $3, :now + $4, $4, 0, FALSE, $5)";
        let (sql, now) = self.at(tx.connection().get_database_backend(), sql, 6);
        let row = |id: Id<Queued>| {
            let (payload, unique_key) = (payload.clone().into(), unique_key.clone().into());
            vec![id.into(), name.into(), payload, int(delay_ms), unique_key, now.clone()]
        };
        tx.insert_raw(&sql, row).await
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
        let names: Vec<Value> = names.iter().map(|name| Value::from(*name)).collect();
        let places: Vec<String> = (0..names.len()).map(|n| format!("${}", n + 4)).collect();
        let (store, places) = (self.clone(), places.join(", "));
        database
            .write(move |transaction| {
                async move {
                    let backend = transaction.get_database_backend();
                    let skip = if backend == DbBackend::Postgres { "FOR UPDATE SKIP LOCKED" } else { "" };
                    let shard = shard_of_id_sql("id");
                    // Materialized, so that the limit holds: PostgreSQL may run a plain subquery again
                    // for each row that it updates, and would lease jobs that no worker begins.
                    let sql = format!(
                        "WITH due AS MATERIALIZED (\
                           SELECT id FROM tripod_job WHERE dead = FALSE AND run_at_ms <= :now AND name IN ({places}) \
                           AND {shard} IN (SELECT shard FROM tripod_shard WHERE state = 'active') \
                           ORDER BY run_at_ms LIMIT $2 {skip}) \
                         UPDATE tripod_job SET run_at_ms = :now + $1, wait_ms = $1, leased = TRUE, \
                         attempt = attempt + 1, \
                         unique_key = CASE WHEN unique_key LIKE 'waiting:%' THEN NULL ELSE unique_key END \
                         WHERE id IN (SELECT id FROM due) RETURNING id, name, payload, attempt, excused"
                    );
                    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
                    let (sql, now) = store.at(backend, &sql, 3);
                    let values = [int(store.lease_ms), limit.into(), now].into_iter().chain(names);
                    let rows = transaction.query_all_raw(statement(&transaction, &sql, values)).await?;
                    Ok(rows.iter().map(Claim::read).collect::<Result<_, _>>()?)
                }
            })
            .await
    }

    /// Renews the lease. `false` if it was lost.
    pub(super) async fn renew(&self, claim: &Claim) -> Result<bool> {
        let sql = "UPDATE tripod_job SET run_at_ms = :now + $3, wait_ms = $3 \
                   WHERE id = $1 AND attempt = $2 AND dead = FALSE";
        self.fenced(claim, sql, [int(self.lease_ms)]).await
    }

    pub(super) async fn checkpoint(&self, claim: &Claim, payload: String) -> Result<()> {
        let sql = "UPDATE tripod_job SET run_at_ms = :now + $3, wait_ms = $3, payload = $4 \
                   WHERE id = $1 AND attempt = $2 AND dead = FALSE";
        match self.fenced(claim, sql, [int(self.lease_ms), payload.into()]).await? {
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
        self.one_row(id, "DELETE FROM tripod_job WHERE id = $1 AND attempt = 0", vec![id.into()]).await
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
        let sql = "UPDATE tripod_job SET run_at_ms = :now, wait_ms = 0 WHERE id = $1 AND attempt = 0";
        self.one_row(id, sql, vec![id.into()]).await
    }

    /// Records an attempt that did not complete its job. `false` if the lease was lost.
    pub(super) async fn fail(&self, claim: &Claim, why: String, failure: Failure) -> Result<bool> {
        let (wait_ms, excused, dead) = match failure {
            Failure::Retried { wait_ms } => (wait_ms, 0, false),
            Failure::Excused { wait_ms } => (wait_ms, 1, false),
            Failure::Final => (0, 0, true),
        };
        let sql = "UPDATE tripod_job SET last_error = $3, run_at_ms = :now + $4, wait_ms = $4, leased = FALSE, \
             dead = $5, excused = excused + $6, \
             unique_key = CASE WHEN $5 THEN NULL ELSE unique_key END WHERE id = $1 AND attempt = $2";
        self.fenced(claim, sql, [why.into(), int(wait_ms), dead.into(), excused.into()]).await
    }

    /// Makes jobs due whose time is void: no lease, backoff or delay is as long.
    pub(super) async fn void_times(&self, database: &Database) -> Result<u64> {
        let store = self.clone();
        let voided = database.write(move |transaction| async move {
            // The first comparison is for the index.
            let sql = "UPDATE tripod_job SET run_at_ms = :now, wait_ms = 0 \
                       WHERE dead = FALSE AND run_at_ms > :now + $1 AND run_at_ms > :now + $1 + wait_ms";
            let (sql, now) = store.at(transaction.get_database_backend(), sql, 2);
            let voided = statement(&transaction, &sql, [TOLERANCE_MS.into(), now]);
            Ok(transaction.execute_raw(voided).await?.rows_affected())
        });
        voided.await
    }

    /// Runs a statement that takes effect only while the claim's attempt is the current one.
    async fn fenced(
        &self,
        claim: &Claim,
        sql: &'static str,
        more: impl IntoIterator<Item = Value>,
    ) -> Result<bool> {
        let values = [claim.id.into(), i64::from(claim.attempt).into()].into_iter().chain(more).collect();
        self.one_row(claim.id, sql, values).await
    }

    /// Whether a job with this name waits or runs whose payload matches.
    pub(super) async fn is_waiting(&self, shard: Shard, name: &str, payload: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM tripod_job WHERE name = $1 AND payload LIKE $2 AND dead = FALSE LIMIT 1";
        let reader = self.shards.reader(shard);
        let found = reader.query_one_raw(statement(reader, sql, [name.into(), payload.into()])).await?;
        Ok(found.is_some())
    }

    /// Runs a statement on the shard of a job's id, in which `:now` is the time; whether it found the job.
    pub(super) async fn one_row(
        &self,
        id: i64,
        sql: impl Into<String>,
        mut values: Vec<Value>,
    ) -> Result<bool> {
        let (store, sql) = (self.clone(), sql.into());
        let work = move |tx: Tx| async move {
            if sql.contains(NOW) {
                let (sql, now) = store.at(tx.connection().get_database_backend(), &sql, values.len() + 1);
                values.push(now);
                return Ok(tx.execute(&sql, values).await? == 1);
            }
            Ok(tx.execute(&sql, values).await? == 1)
        };
        self.shards.write(Shard::of_id(id), work).await
    }

    /// The rows of a query on every database that has answered since the start.
    pub(super) async fn everywhere<T>(
        &self,
        sql: &str,
        read: impl Fn(&QueryResult) -> Result<T, DbErr>,
    ) -> Result<Vec<T>> {
        let databases = self.shards.databases().iter().filter(|database| !database.is_absent());
        let queries = databases.map(async |database| {
            let reader = database.reader();
            reader.query_all_raw(statement(reader, sql, [])).await
        });
        let rows = try_join_all(queries).await?.into_iter().flatten();
        Ok(rows.map(|row| read(&row)).collect::<Result<_, _>>()?)
    }

    /// Puts the time into a statement, in place of `:now`, and returns the value of its parameter `$place`.
    /// On a server the time is the server's, unless the clock is moved by hand; a file's process has no other
    /// clock than its own.
    pub(super) fn at(&self, backend: DbBackend, sql: &str, place: usize) -> (String, Value) {
        let clock = self.shards.clock();
        let own = || Value::BigInt(Some(clock.now_ms().try_into().unwrap_or(i64::MAX)));
        match backend {
            DbBackend::Postgres => {
                // Stable, so that an index is used.
                let servers = "CAST(EXTRACT(EPOCH FROM statement_timestamp()) * 1000 AS BIGINT)";
                let now = format!("COALESCE(CAST(${place} AS BIGINT), {servers})");
                let value = if clock.is_manual() { own() } else { Value::BigInt(None) };
                (sql.replace(NOW, &now), value)
            }
            _ => (sql.replace(NOW, &format!("${place}")), own()),
        }
    }
}

/// The time, in statements.
pub(super) const NOW: &str = ":now";

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
