//! Files that are to belong to a row which is not there yet.
//!
//! Files are stored before their row commits, or a row could lack one. A crash in between, a refusal
//! of the row or a store that fails in the middle would leave files that nobody refers to. So before
//! the first file is stored a job is queued that deletes them all later, and the transaction which
//! writes the row takes that job back. Whatever happens, in the end there are either row and files, or
//! neither.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{MediaKey, MediaStore};
use crate::Job;
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::queue::{JobRun, Queue, Run};
use crate::shard::{Shards, Tx};

/// Begins uploads; clones share everything.
#[derive(Clone)]
pub struct Uploads {
    shards: Shards,
    queue: Queue,
    /// After this long without a row the files are deleted.
    abandoned_after: Duration,
}

/// Files under way to a row, which are deleted unless that commits with [`Upload::keep`].
#[derive(Clone)]
#[must_use = "files that are not kept are deleted"]
pub struct Upload {
    queue: Queue,
    job: i64,
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
    pub async fn begin(&self, shard: Shard, keys: Vec<MediaKey>) -> Result<Upload> {
        let (queue, delay) = (self.queue.clone(), self.abandoned_after);
        let queued = self.shards.write::<_, Error, _>(shard, move |tx| {
            Box::pin(async move { queue.enqueue_after(tx, &DeleteUpload { keys }, delay).await })
        });
        Ok(Upload { job: queued.await?, queue: self.queue.clone() })
    }
}

impl Upload {
    /// Keeps the files, in the transaction that writes their row.
    ///
    /// # Errors
    /// Unavailable, when they were announced so long ago that they may be deleted at this moment;
    /// internal, on another shard than they were announced on.
    pub async fn keep(&self, tx: &Tx<'_>) -> Result<()> {
        match self.queue.take_back_in(tx, self.job).await? {
            true => Ok(()),
            false => Err(Error::unavailable("it took too long until the files had their row; try again")),
        }
    }

    /// Has the files deleted now rather than later: their row was refused. It was not when it is
    /// unconfirmed whether it is there.
    ///
    /// # Errors
    /// Those of the database; then they are deleted later.
    pub async fn abandon(self) -> Result<()> {
        self.queue.hasten(self.job).await
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
