//! A job: a name, a few constants and a JSON payload.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lane::DEFAULT_LANE;
use crate::error::{Error, Result};

/// A kind of job. Derived by [`crate::Job`].
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The job's name in the outbox. It is written by hand, so that renaming the type does not orphan
    /// queued jobs.
    const NAME: &'static str;
    /// How often the job is retried after its first failure before it is put aside as dead.
    const RETRIES: u32;
    /// The lane in which it runs; see [`super::Lane`].
    const LANE: &'static str = DEFAULT_LANE;

    /// Makes the job unique, if wanted: while there is a job with this name and key on the same shard,
    /// no other is enqueued.
    fn unique(&self) -> Option<Unique> {
        None
    }
}

/// Which jobs prevent another with the same name and key from being enqueued on their shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// A waiting job. Once it has started, another may be enqueued, for changes made since.
    WhileWaiting(String),
    /// A waiting or running job. Once it is done, another may be enqueued.
    UntilDone(String),
}

pub(super) fn encode<J: Job>(job: &J) -> Result<String> {
    serde_json::to_string(job).map_err(|error| {
        Error::internal(format!("a job {} can't be written as JSON", J::NAME)).because(error)
    })
}
