//! Scheduled jobs: a job is enqueued at the times of a cron pattern, by the first process to notice.
//!
//! A schedule's row holds the last time that was taken. The process that advances it enqueues the job in
//! the same transaction. There is therefore one run per time, however many processes there are. The time
//! is the database's, whatever the clocks of processes show. Times that passed while no process ran result in one run.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use croner::Cron;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, Value};

use super::job::{Job, encode};
use super::store::{NOW, Store};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::Shard;

/// The schedules, and the key that makes queued jobs unique.
pub const SCHEDULE_MIGRATION: Migration = || {
    let schedule = Table::create()
        .table("tripod_schedule")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("taken_ms").big_integer().not_null())
        .primary_key(Index::create().col("shard").col("name"))
        .take();
    CreateTables::new("m20261127_000009_tripod_schedule")
        .table(schedule)
        .sql("ALTER TABLE tripod_job ADD COLUMN unique_key TEXT")
        .sql("CREATE UNIQUE INDEX tripod_job_unique ON tripod_job (unique_key)")
        .boxed()
};

/// A job's name and payload, with the pattern of its times.
#[derive(Clone)]
pub(super) struct Schedule {
    pub(super) name: &'static str,
    pub(super) pattern: Cron,
    payload: Arc<dyn Fn() -> Result<String> + Send + Sync>,
}

impl Schedule {
    pub(super) fn new<J: Job>(pattern: &str, job: impl Fn() -> J + Send + Sync + 'static) -> Result<Self> {
        let parsed = pattern.parse::<Cron>().map_err(|error| {
            Error::configuration(format!(
                "the schedule {pattern:?} of the job {:?} is no cron pattern such as \"0 3 * * *\"",
                J::NAME
            ))
            .because(error)
        })?;
        Ok(Self { name: J::NAME, pattern: parsed, payload: Arc::new(move || encode(&job())) })
    }

    /// The latest time of the pattern that is not in the future, in milliseconds since the Unix epoch.
    fn due_ms(&self, now_ms: i64) -> Result<Option<i64>> {
        let now = DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default();
        match self.pattern.find_previous_occurrence(&now, true) {
            Ok(due) => Ok(Some(due.timestamp_millis())),
            Err(croner::errors::CronError::TimeSearchLimitExceeded) => Ok(None),
            Err(error) => {
                Err(Error::configuration(format!("the schedule of {:?} gives no time", self.name))
                    .because(error))
            }
        }
    }
}

impl Store {
    /// Enqueues the scheduled jobs whose time has come and was not taken yet; returns their names.
    ///
    /// # Errors
    /// Those of the databases.
    pub(super) async fn run_schedules(&self, schedules: &[Schedule]) -> Result<Vec<&'static str>> {
        let shards = &self.shards;
        let mut begun = Vec::new();
        for schedule in schedules {
            let shard = Shard::of_text(schedule.name);
            let key = [Value::from(shard.number() as i16), schedule.name.into()];
            let reader = shards.reader(shard);
            let sql = format!(
                "SELECT {NOW}, (SELECT taken_ms FROM tripod_schedule WHERE shard = $1 AND name = $2) AS taken_ms"
            );
            let (sql, now) = self.at(reader.get_database_backend(), &sql, 3);
            let values = key.clone().into_iter().chain([now]);
            let Some(row) = reader.query_one_raw(statement(reader, &sql, values)).await? else { continue };
            let (now_ms, taken): (i64, Option<i64>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            let Some(due_ms) = schedule.due_ms(now_ms)? else { continue };
            if taken.is_some_and(|taken| taken >= due_ms) {
                continue;
            }
            let (store, payload, name) = (self.clone(), (schedule.payload)()?, schedule.name);
            let enqueued = shards.write(shard, move |tx| async move {
                // A new schedule has missed nothing: its first run is at its next time.
                let sql = "INSERT INTO tripod_schedule (shard, name, taken_ms) VALUES ($1, $2, $3) \
                           ON CONFLICT DO NOTHING";
                let values = || key.clone().into_iter().chain([due_ms.into()]);
                if tx.execute(sql, values()).await? == 1 {
                    return Ok(false);
                }
                let sql = "UPDATE tripod_schedule SET taken_ms = $3 WHERE shard = $1 AND name = $2 AND taken_ms < $3";
                if tx.execute(sql, values()).await? == 0 {
                    return Ok(false);
                }
                store.insert(&tx, name, payload, 0, None).await?;
                Ok(true)
            });
            if enqueued.await? {
                begun.push(schedule.name);
            }
        }
        Ok(begun)
    }
}
