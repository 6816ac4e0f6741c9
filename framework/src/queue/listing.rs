//! What an operator sees of the queue, and does to its jobs.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::outbox::{JobId, Queue};
use super::store::{NOW, Store, count};
use crate::db::statement;
use crate::error::Result;
use crate::id::{shard_of_id_sql, timestamp_ms};

/// A job in the queue, as an operator sees it.
#[derive(Clone, Debug)]
pub struct ListedJob {
    /// Its id, for [`Queue::retry`] and [`Queue::discard`].
    pub id: JobId,
    /// Its kind.
    pub name: String,
    /// Its lane; `None` if this program has no job of that name.
    pub lane: Option<&'static str>,
    /// Its payload, in JSON.
    pub payload: String,
    /// Whether it waits, runs or is dead.
    pub state: JobState,
    /// How long ago it was enqueued, in milliseconds.
    pub age_ms: i64,
    /// In how many milliseconds it is due, or its lease ends; negative if that has passed.
    pub due_in_ms: i64,
    /// How many times it was tried, without the times that a store was away.
    pub attempts: u32,
    /// How many times it could not be tried to the end because a store was away.
    pub excused: u32,
    /// Why the last attempt failed, if it survived to report an error.
    pub last_error: Option<String>,
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its time and for a worker.
    Waiting,
    /// A worker has leased it.
    Running,
    /// It failed or killed its process too often, and waits for an operator.
    Dead,
}

/// What a lane holds, as an operator sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListedLane {
    /// Jobs that wait for their time or for a worker.
    pub waiting: u64,
    /// Jobs that workers have leased.
    pub running: u64,
    /// Jobs put aside as dead.
    pub dead: u64,
    /// How long ago the oldest job that waits or runs was enqueued, in milliseconds; `None` without one.
    pub age_ms: Option<i64>,
}

const COLUMNS: &str = "id, name, payload, attempt, excused, dead, leased, run_at_ms, last_error";

impl Queue {
    /// The number of jobs that wait or run, by name.
    ///
    /// # Errors
    /// Any database error.
    pub async fn waiting(&self) -> Result<BTreeMap<String, i64>> {
        let sql = "SELECT name, COUNT(*) FROM tripod_job WHERE dead = FALSE GROUP BY name";
        let counts = self
            .store()
            .everywhere(sql, |row| Ok((row.try_get_by_index::<String>(0)?, row.try_get_by_index::<i64>(1)?)));
        let mut sums = BTreeMap::new();
        for (name, count) in counts.await? {
            *sums.entry(name).or_default() += count;
        }
        Ok(sums)
    }

    /// The lanes that hold jobs, by name; `None` has the jobs that this program does not know.
    ///
    /// # Errors
    /// Any database error.
    pub async fn lanes(&self) -> Result<BTreeMap<Option<&'static str>, ListedLane>> {
        let mut lanes: BTreeMap<_, ListedLane> = BTreeMap::new();
        for database in self.store().shards.databases().iter().filter(|database| !database.is_absent()) {
            let reader = database.reader();
            // A later id is of a later millisecond.
            let sql = "SELECT name, CASE WHEN dead THEN 2 WHEN leased AND run_at_ms > :now THEN 1 ELSE 0 END AS state, \
                       CAST(COUNT(*) AS BIGINT), MIN(id), :now FROM tripod_job GROUP BY name, state";
            let (sql, now) = self.store().at(reader.get_database_backend(), sql, 1);
            for row in reader.query_all_raw(statement(reader, &sql, [now])).await? {
                let (name, state): (String, i32) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
                let count: i64 = row.try_get_by_index(2)?;
                let (oldest, now_ms): (i64, i64) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
                let lane = lanes.entry(self.lane(&name)).or_default();
                let jobs = match state {
                    0 => &mut lane.waiting,
                    1 => &mut lane.running,
                    _ => &mut lane.dead,
                };
                *jobs += count.unsigned_abs();
                if state < 2 {
                    lane.age_ms = lane.age_ms.max(Some(now_ms - timestamp_ms(oldest) as i64));
                }
            }
        }
        Ok(lanes)
    }

    /// The jobs set aside as dead.
    ///
    /// # Errors
    /// Any database error.
    pub async fn dead(&self) -> Result<Vec<ListedJob>> {
        self.listed("dead = TRUE ORDER BY id", i64::MAX).await
    }

    /// The jobs of every database that are due first, and its dead ones, at most `limit` of each.
    ///
    /// # Errors
    /// Any database error.
    pub async fn list(&self, limit: u32) -> Result<Vec<ListedJob>> {
        let mut jobs = self.listed("dead = FALSE ORDER BY run_at_ms", limit.into()).await?;
        jobs.extend(self.listed("dead = TRUE ORDER BY id", limit.into()).await?);
        Ok(jobs)
    }

    async fn listed(&self, which: &str, limit: i64) -> Result<Vec<ListedJob>> {
        let store = self.store();
        let mut jobs = Vec::new();
        for database in store.shards.databases().iter().filter(|database| !database.is_absent()) {
            let reader = database.reader();
            let sql = format!("SELECT {COLUMNS}, {NOW} AS now_ms FROM tripod_job WHERE {which} LIMIT $1");
            let (sql, now) = store.at(reader.get_database_backend(), &sql, 2);
            let rows = reader.query_all_raw(statement(reader, &sql, [limit.into(), now])).await?;
            for row in rows {
                jobs.push(self.read(&row)?);
            }
        }
        Ok(jobs)
    }

    fn read(&self, row: &QueryResult) -> Result<ListedJob> {
        let (id, name): (i64, String) = (row.try_get("", "id")?, row.try_get("", "name")?);
        let (now_ms, due_ms): (i64, i64) = (row.try_get("", "now_ms")?, row.try_get("", "run_at_ms")?);
        let (attempt, excused) = (count(row, "attempt")?, count(row, "excused")?);
        let state = match (row.try_get("", "dead")?, row.try_get("", "leased")?) {
            (true, _) => JobState::Dead,
            // A lease that has ended was its dead worker's.
            (false, true) if due_ms > now_ms => JobState::Running,
            _ => JobState::Waiting,
        };
        Ok(ListedJob {
            id: JobId::from_raw(id),
            lane: self.lane(&name),
            name,
            payload: row.try_get("", "payload")?,
            state,
            age_ms: now_ms - timestamp_ms(id) as i64,
            due_in_ms: due_ms - now_ms,
            attempts: attempt.saturating_sub(excused),
            excused,
            last_error: row.try_get("", "last_error")?,
        })
    }

    /// Makes a waiting or dead job due now, with all its attempts. `false` if there is none with this id, or
    /// it runs.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn retry(&self, job: JobId) -> Result<bool> {
        let sql = RETRY.to_owned() + " AND id = $1";
        self.store().one_row(job.raw(), sql, vec![job.raw().into()]).await
    }

    /// The same for all waiting and dead jobs, or those of one kind; returns their number.
    ///
    /// # Errors
    /// Any database error; the jobs of other databases may have been made due.
    pub async fn retry_all(&self, name: Option<&str>) -> Result<u64> {
        let shard = shard_of_id_sql("id");
        let sql = format!(
            "{RETRY} AND name = COALESCE($1, name) \
             AND {shard} IN (SELECT shard FROM tripod_shard WHERE state = 'active')"
        );
        let mut retried = 0;
        for database in self.store().shards.databases() {
            let (store, sql, name): (Store, _, Value) =
                (self.store().clone(), sql.clone(), name.map(str::to_owned).into());
            let changed = database.write(move |transaction| async move {
                let (sql, now) = store.at(transaction.get_database_backend(), &sql, 2);
                Ok(transaction.execute_raw(statement(&transaction, &sql, [name, now])).await?.rows_affected())
            });
            retried += changed.await?;
        }
        self.wake();
        Ok(retried)
    }

    /// Deletes a dead job. `false` if there is no dead job with this id.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn discard(&self, job: JobId) -> Result<bool> {
        let sql = "DELETE FROM tripod_job WHERE id = $1 AND dead = TRUE".to_owned();
        self.store().one_row(job.raw(), sql, vec![job.raw().into()]).await
    }
}

/// Makes jobs due that no worker has leased. Their attempts are excused and not reset: the number of the
/// attempt must never name two.
const RETRY: &str = "UPDATE tripod_job SET dead = FALSE, excused = attempt, leased = FALSE, run_at_ms = :now, wait_ms = 0 \
    WHERE (dead = TRUE OR leased = FALSE OR run_at_ms <= :now)";
