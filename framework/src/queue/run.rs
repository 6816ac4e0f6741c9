//! Running a job: what it does, and what it is handed for an attempt.

use tokio_util::sync::CancellationToken;

use super::job::{Job, encode};
use super::store::{Claim, Store};
use crate::error::Result;
use crate::shard::Shards;

/// What a job does. `C` is what it is handed: for apps, [`crate::App`].
pub trait Run<C>: Job {
    /// Runs it once. It may be stopped anywhere and run again, so its effects are idempotent.
    /// An error is kept with the job and it is tried again later.
    fn run(&mut self, context: &C, run: &JobRun) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One attempt at a job.
pub struct JobRun {
    pub(super) store: Store,
    pub(super) claim: Claim,
    pub(super) shutdown: CancellationToken,
}

impl JobRun {
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// Cancelled when the process is told to stop. A long job stores how far it has come and ends with an
    /// error then: another process continues it. One that does not end in time is stopped with the
    /// process, and continued when its lease has ended.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// All data.
    pub fn shards(&self) -> &Shards {
        &self.store.shards
    }

    /// Stores how far a long job has come: if the process dies, the next attempt begins with
    /// `job` as it is now.
    ///
    /// # Errors
    /// Conflict, when the lease has been lost: another worker goes on with this job, and this one
    /// must stop.
    pub async fn checkpoint(&self, job: &(impl Job + Sync)) -> Result<()> {
        self.store.checkpoint(&self.claim, encode(job)?).await
    }
}
