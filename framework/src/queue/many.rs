//! Jobs that are enqueued and cancelled many at a time, by writers that share a commit.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use super::job::{Job, encode};
use super::outbox::{JobId, Queue};
use crate::db::{Cell, Rows};
use crate::error::{Error, Result};
use crate::shard::Tx;

impl Queue {
    /// As [`Tx::enqueue_after`], for jobs that are not unique; each is enqueued on the shard of its `Tx`, and
    /// all of these are one transaction. Returns their ids in the same order.
    ///
    /// # Errors
    /// Conflict, if another process has taken one of the ids; any database error.
    pub(crate) async fn enqueue_each<J: Job>(&self, jobs: &[(Tx, J)], delay: Duration) -> Result<Vec<JobId>> {
        let Some((tx, _)) = jobs.first() else { return Ok(Vec::new()) };
        let (mut ids, mut rows) = (Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (tx, job) in jobs {
            let id: JobId = tx.generate_id()?;
            rows.push([Cell::Integer(id.raw()), Cell::Text(encode(job)?)]);
            ids.push(id);
        }
        let backend = tx.connection().get_database_backend();
        let rows = Rows { columns: [("id", "bigint"), ("payload", "text")], rows };
        let (enqueued, values) = rows.table(backend, 4);
        let sql = format!(
            "INSERT INTO tripod_job (id, name, payload, run_at_ms, wait_ms, attempt, dead) \
             SELECT r.id, $1, r.payload, :now + $2, $2, 0, FALSE FROM {enqueued} WHERE TRUE \
             ON CONFLICT (id) DO NOTHING"
        );
        let (sql, now) = self.store().at(backend, &sql, 3);
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let values = [J::NAME.into(), delay_ms.into(), now].into_iter().chain(values);
        match tx.execute(&sql, values).await? == ids.len() as u64 {
            true => Ok(ids),
            false => Err(Error::conflict("another process has taken the id of a job")),
        }
    }

    /// As [`Tx::cancel`], for jobs of any shards of the transaction.
    ///
    /// # Errors
    /// Any database error.
    pub(crate) async fn cancel_each(&self, tx: &Tx, jobs: impl IntoIterator<Item = JobId>) -> Result<()> {
        let rows = jobs.into_iter().map(|job| [Cell::Integer(job.raw())]).collect();
        let (cancelled, values) =
            Rows { columns: [("id", "bigint")], rows }.table(tx.connection().get_database_backend(), 1);
        let sql =
            format!("DELETE FROM tripod_job WHERE attempt = 0 AND id IN (SELECT r.id FROM {cancelled})");
        tx.execute(&sql, values).await.map(drop)
    }
}
