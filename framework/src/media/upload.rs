//! Files for a row that does not exist yet.
//!
//! Files are stored before their row commits; otherwise a row could lack a file. A crash in between, a
//! rejected row or a store that fails half-way would leave files that no row refers to. So before the
//! first file is stored, a job is queued that deletes them all later, and the transaction that writes
//! the row cancels that job. Whatever happens, in the end both row and files exist, or neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

use super::{MediaKey, MediaStore};
use crate::error::{BoxError, Error, Result};
use crate::id::Shard;
use crate::queue::{JobId, JobRun, Queue, Run};
use crate::shard::{Shards, Tx};

/// Starts uploads; clones share everything.
#[derive(Clone)]
pub struct Uploads {
    shards: Shards,
    queue: Queue,
    /// Files without a row are deleted after this long.
    abandoned_after: Duration,
}

/// Files that wait for their row. They are deleted unless a transaction that keeps them ([`Tx::keep`])
/// commits: at once when this is dropped, later if the process dies.
#[must_use = "files that are not kept are deleted"]
pub struct Upload {
    queue: Queue,
    job: JobId,
    is_kept: bool,
}

impl Upload {
    /// Marks the files as kept, once their row has committed.
    fn mark_kept(mut self) {
        self.is_kept = true;
    }
}

impl Uploads {
    /// Uploads whose rows must commit within `abandoned_after`.
    pub fn new(shards: Shards, queue: Queue, abandoned_after: Duration) -> Self {
        Self { shards, queue, abandoned_after }
    }

    /// Registers the files of a row on this shard, before the first of them is stored.
    ///
    /// # Errors
    /// Any error of the shard's database.
    pub async fn begin(&self, shard: impl Into<Shard>, keys: Vec<MediaKey>) -> Result<Upload> {
        let delay = self.abandoned_after;
        let queued = self
            .shards
            .write(shard, move |tx| async move { tx.enqueue_after(DeleteUpload { keys }, delay).await });
        Ok(Upload { job: queued.await?, queue: self.queue.clone(), is_kept: false })
    }
}

impl Tx {
    /// Keeps the files of an upload, if this transaction commits; otherwise they are deleted. Call it in
    /// the transaction that writes their row.
    ///
    /// # Errors
    /// Unavailable, if they were registered so long ago that their deletion may have begun; internal, if
    /// they were registered on another shard.
    pub async fn keep(&self, upload: Upload) -> Result<()> {
        if !self.cancel(upload.job).await? {
            return Err(Error::unavailable("the files were stored too long before their row; try again"));
        }
        // Without a commit, the hook is dropped together with the upload.
        self.after_commit(async move { upload.mark_kept() });
        Ok(())
    }
}

impl Tx {
    /// Enqueues a job that deletes files, if this transaction commits: the files of a row that it
    /// deletes or changes.
    ///
    /// # Errors
    /// As for [`Tx::enqueue`].
    pub async fn delete_files(&self, keys: Vec<MediaKey>) -> Result<()> {
        if keys.is_empty() { Ok(()) } else { self.enqueue(DeleteUpload { keys }).await.map(drop) }
    }
}

impl Drop for Upload {
    /// Deletes the files now rather than later. This is harmless if it is unconfirmed whether they were
    /// kept: the commit that keeps them removes the job that deletes them.
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

/// Deletes the files of an upload that was not completed.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "tripod_delete_upload", retries = 20)]
pub struct DeleteUpload {
    keys: Vec<MediaKey>,
}

impl<C: AsRef<MediaStore> + Send + Sync> Run<C> for DeleteUpload {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        for key in &self.keys {
            context.as_ref().delete(key).await?;
        }
        Ok(())
    }
}
