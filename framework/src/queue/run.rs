//! Running a job: its work, and what an attempt receives.

use tokio_util::sync::CancellationToken;

use super::job::{Job, encode};
use super::store::{Claim, Store};
use crate::error::{BoxError, Result};
use crate::shard::Shards;

/// The work of a job. `C` is the context it receives: for apps, [`crate::App`].
pub trait Run<C>: Job {
    /// Runs the job once. It may be interrupted at any point and run again, so its effects must be
    /// idempotent. An error is stored with the job, which is retried later.
    fn run(&mut self, context: &C, run: &JobRun) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// One attempt at a job.
pub struct JobRun {
    pub(super) store: Store,
    pub(super) claim: Claim,
    pub(super) shutdown: CancellationToken,
}

impl JobRun {
    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// Cancelled when the process is asked to stop. A long job should then save a checkpoint and return
    /// an error: another process continues it. A job that does not end in time is stopped with the
    /// process, and continued when its lease has expired.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// The sharded databases.
    pub fn shards(&self) -> &Shards {
        &self.store.shards
    }

    /// Saves the progress of a long job: if the process dies, the next attempt starts with `job` as it
    /// is now.
    ///
    /// # Errors
    /// Conflict, when the lease is lost: another worker has taken over this job, and this one must stop.
    pub async fn checkpoint(&self, job: &(impl Job + Sync)) -> Result<()> {
        self.store.checkpoint(&self.claim, encode(job)?).await
    }
}
