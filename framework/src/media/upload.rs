//! Files that are to belong to a row which is not there yet.
//!
//! Files are stored before their row commits, or a row could lack one. A crash in between, a refusal
//! of the row or a store that fails in the middle would leave files that nobody refers to. So before
//! the first file is stored a job is queued that deletes them all later, and the transaction which
//! writes the row takes that job back. Whatever happens, in the end there are either row and files, or
//! neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

use super::{MediaKey, MediaStore};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::queue::{JobId, JobRun, Queue, Run};
use crate::shard::{Shards, Tx};

/// Begins uploads; clones share everything.
#[derive(Clone)]
pub struct Uploads {
    shards: Shards,
    queue: Queue,
    /// After this long without a row the files are deleted.
    abandoned_after: Duration,
}

/// Files under way to a row. They are deleted unless a transaction commits that has kept them
/// ([`Tx::keep`]): right away when this is dropped, later when the process dies.
#[must_use = "files that are not kept are deleted"]
pub struct Upload {
    queue: Queue,
    job: JobId,
    is_kept: bool,
}

impl Upload {
    /// Its files have their row.
    fn mark_kept(mut self) {
        self.is_kept = true;
    }
}

impl Uploads {
    /// Uploads whose rows come within this time.
    pub fn new(shards: Shards, queue: Queue, abandoned_after: Duration) -> Self {
        Self { shards, queue, abandoned_after }
    }

    /// Announces the files of a row on this shard, before the first of them is stored.
    ///
    /// # Errors
    /// Those of the shard's database.
    pub async fn begin(&self, shard: impl Into<Shard>, keys: Vec<MediaKey>) -> Result<Upload> {
        let delay = self.abandoned_after;
        let queued = self
            .shards
            .write(shard, move |tx| async move { tx.enqueue_after(DeleteUpload { keys }, delay).await });
        Ok(Upload { job: queued.await?, queue: self.queue.clone(), is_kept: false })
    }
}

impl Tx {
    /// Keeps the files of an upload, if this transaction commits: to be called where their row is
    /// written. Otherwise they are deleted.
    ///
    /// # Errors
    /// Unavailable, when they were announced so long ago that they may be deleted at this moment;
    /// internal, on another shard than they were announced on.
    pub async fn keep(&self, upload: Upload) -> Result<()> {
        if !self.cancel(upload.job).await? {
            return Err(Error::unavailable("it took too long until the files had their row; try again"));
        }
        // The hook is dropped with the upload when there is no commit.
        self.after_commit(async move { upload.mark_kept() });
        Ok(())
    }
}

impl Tx {
    /// Deletes files by a job, if this transaction commits: those of a row that it deletes or changes.
    ///
    /// # Errors
    /// Those of [`Tx::enqueue`].
    pub async fn delete_files(&self, keys: Vec<MediaKey>) -> Result<()> {
        if keys.is_empty() { Ok(()) } else { self.enqueue(DeleteUpload { keys }).await.map(drop) }
    }
}

impl Drop for Upload {
    /// Has the files deleted now rather than later. That does no harm where it is not confirmed whether
    /// they were kept: the job that deletes them is gone with that commit.
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (queue, job) = (self.queue.clone(), self.job);
        runtime.spawn(async move {
            if let Err(error) = queue.run_now(job).await {
                tracing::debug!(
                    error = error.chain(),
                    "the files of an upload that was given up are deleted later"
                );
            }
        });
    }
}

/// Deletes the files of an upload that did not come to its end.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "tripod_delete_upload", retries = 20)]
pub struct DeleteUpload {
    keys: Vec<MediaKey>,
}

impl<C: AsRef<MediaStore> + Send + Sync> Run<C> for DeleteUpload {
    async fn run(&mut self, context: &C, _: &JobRun) -> anyhow::Result<()> {
        for key in &self.keys {
            context.as_ref().delete(key).await?;
        }
        Ok(())
    }
}
