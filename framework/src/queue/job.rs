//! What a job is: a name, a few constants and a payload in JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lane::DEFAULT_LANE;
use crate::error::{Error, Result};

/// A kind of job. Derived by [`crate::Job`].
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the outbox, written by hand: renaming the type loses no queued job.
    const NAME: &'static str;
    /// How often it is tried again after its first failure, before it is put aside as dead.
    const RETRIES: u32;
    /// The lane that it runs in; see [`super::Lane`].
    const LANE: &'static str = DEFAULT_LANE;

    /// What makes this job one of a kind, if anything: while there is another of this name and key on the
    /// same shard, it is not enqueued.
    fn unique(&self) -> Option<Unique> {
        None
    }
}

/// Of the jobs of one name and key on a shard there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// One waits: another may be enqueued as soon as the first has begun, for what has changed since
    /// then.
    WhileWaiting(String),
    /// One waits or runs: another may be enqueued when the first is done.
    UntilDone(String),
}

pub(super) fn encode<J: Job>(job: &J) -> Result<String> {
    serde_json::to_string(job).map_err(|error| {
        Error::internal(format!("a job {} can't be written as JSON", J::NAME)).because(error)
    })
}
