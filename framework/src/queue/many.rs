//! Jobs that are enqueued, completed and cancelled many at a time, by writers that share a commit.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use sea_orm::ConnectionTrait;

use super::job::{Job, encode};
use super::outbox::{JobId, Queue};
use crate::db::{Cell, Rows, statement};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::shard::{Combine, Combiner, Shards, Tx};

/// A change of the outbox that is written together with others.
pub(crate) enum Change {
    /// Enqueues a job on a shard, whose transaction holds nothing else.
    Enqueue(Shard, NewJob),
    /// Deletes a job that is done, if this attempt is the current one.
    Complete { id: i64, attempt: u32 },
}

/// A job to be enqueued.
#[derive(Clone)]
pub(crate) struct NewJob {
    pub(super) name: &'static str,
    pub(super) payload: String,
    pub(super) delay_ms: u64,
}

/// What became of a change.
pub(crate) enum Outcome {
    Enqueued(JobId),
    /// Whether the lease was still held.
    Completed(bool),
    /// It needs a transaction of its own.
    Alone,
}

impl Combine for Queue {
    type Change = Change;
    type Outcome = Outcome;
    /// Any changes may share a batch: each is about a job of its own.
    type Key = ();
    const CHANGES: &'static str = "changes of jobs";

    fn shards(&self) -> &Shards {
        &self.store().shards
    }

    fn combiner(&self) -> &Combiner<Self> {
        self.combiner()
    }

    fn home(change: &Change) -> Shard {
        match change {
            Change::Enqueue(shard, _) => *shard,
            Change::Complete { id, .. } => Shard::of_id(*id),
        }
    }

    fn alone() -> Outcome {
        Outcome::Alone
    }

    async fn apply(self, txs: BTreeMap<Shard, Tx>, changes: Vec<Change>) -> Result<Vec<Result<Outcome>>> {
        let (mut jobs, mut done) = (Vec::new(), Vec::new());
        for change in &changes {
            // One whose shard has moved finds its new place alone.
            match (change, txs.get(&Self::home(change))) {
                (_, None) => {}
                (Change::Enqueue(_, job), Some(tx)) => jobs.push((tx, job.clone())),
                (Change::Complete { id, attempt }, Some(_)) => done.push((*id, *attempt)),
            }
        }
        let mut enqueued = self.insert_each(jobs).await?.into_iter();
        let completed = match txs.values().next() {
            Some(tx) => self.complete_each(tx, done).await?,
            None => HashSet::new(),
        };
        let outcomes = changes.iter().map(|change| match (change, txs.contains_key(&Self::home(change))) {
            (_, false) => Outcome::Alone,
            (Change::Enqueue(..), true) => enqueued.next().map_or(Outcome::Alone, Outcome::Enqueued),
            (Change::Complete { id, .. }, true) => Outcome::Completed(completed.contains(id)),
        });
        Ok(outcomes.map(Ok).collect())
    }
}

impl Queue {
    /// As [`Tx::enqueue_after`], for jobs that are not unique; each is enqueued on the shard of its `Tx`, and
    /// all of these are one transaction. Returns their ids in the same order.
    ///
    /// # Errors
    /// Conflict, if another process has taken one of the ids; any database error.
    pub(crate) async fn enqueue_each<J: Job>(&self, jobs: &[(Tx, J)], delay: Duration) -> Result<Vec<JobId>> {
        let delay_ms = delay.as_millis() as u64;
        let new = |job: &J| encode(job).map(|payload| NewJob { name: J::NAME, payload, delay_ms });
        let jobs = jobs.iter().map(|(tx, job)| Ok((tx, new(job)?)));
        self.insert_each(jobs.collect::<Result<_>>()?).await
    }

    async fn insert_each(&self, jobs: Vec<(&Tx, NewJob)>) -> Result<Vec<JobId>> {
        let Some((tx, _)) = jobs.first() else { return Ok(Vec::new()) };
        let (tx, mut ids, mut rows) = (*tx, Vec::with_capacity(jobs.len()), Vec::with_capacity(jobs.len()));
        for (tx, NewJob { name, payload, delay_ms }) in jobs {
            let id: JobId = tx.generate_id()?;
            let delay_ms = i64::try_from(delay_ms).unwrap_or(i64::MAX);
            let (name, payload) = (Cell::Text(name.to_owned()), Cell::Text(payload));
            rows.push([Cell::Integer(id.raw()), name, payload, Cell::Integer(delay_ms)]);
            ids.push(id);
        }
        let backend = tx.connection().get_database_backend();
        let columns = [("id", "bigint"), ("name", "text"), ("payload", "text"), ("delay_ms", "bigint")];
        let (enqueued, values) = Rows { columns, rows }.table(backend, 2);
        let sql = format!(
            "INSERT INTO tripod_job (id, name, payload, run_at_ms, wait_ms, attempt, dead) \
             SELECT r.id, r.name, r.payload, :now + r.delay_ms, r.delay_ms, 0, FALSE FROM {enqueued} WHERE TRUE \
             ON CONFLICT (id) DO NOTHING"
        );
        let (sql, now) = self.store().at(backend, &sql, 1);
        match tx.execute(&sql, [now].into_iter().chain(values)).await? == ids.len() as u64 {
            true => Ok(ids),
            false => Err(Error::conflict("another process has taken the id of a job")),
        }
    }

    /// Deletes jobs that are done, of any shards of the transaction; returns those whose lease was still held.
    async fn complete_each(&self, tx: &Tx, done: Vec<(i64, u32)>) -> Result<HashSet<i64>> {
        if done.is_empty() {
            return Ok(HashSet::new());
        }
        let row = |(id, attempt): (i64, u32)| [Cell::Integer(id), Cell::Integer(attempt.into())];
        let columns = [("id", "bigint"), ("attempt", "bigint")];
        let rows = Rows { columns, rows: done.into_iter().map(row).collect() };
        let (done, values) = rows.table(tx.connection().get_database_backend(), 1);
        // The first condition is for the primary key.
        let sql = format!(
            "WITH done AS (SELECT r.id, r.attempt FROM {done}) DELETE FROM tripod_job \
             WHERE id IN (SELECT id FROM done) AND (id, attempt) IN (SELECT id, attempt FROM done) RETURNING id"
        );
        let deleted = tx.connection().query_all_raw(statement(tx.connection(), &sql, values)).await?;
        Ok(deleted.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
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
