//! What a job is: a name, a few constants, a payload in JSON, and `run`.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Queue;
use super::store::Claim;
use crate::error::{Error, Result};

/// A kind of job. Derived by [`crate::Job`].
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the outbox, written by hand: renaming the type loses no queued job.
    const NAME: &'static str;
    /// How often it is tried again after its first failure, before it is put aside as dead.
    const RETRIES: u32;
}

/// What a job does. `C` is what it is handed: for apps, [`crate::Tripod`].
pub trait Run<C>: Job {
    /// Runs it once. It may be stopped anywhere and run again, so its effects are idempotent.
    /// An error is kept with the job and it is tried again later.
    fn run(&mut self, context: &C, run: &JobRun) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One attempt at a job.
pub struct JobRun {
    pub(super) queue: Queue,
    pub(super) claim: Claim,
}

impl JobRun {
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// Stores how far a long job has come: if the process dies, the next attempt begins with
    /// `job` as it is now.
    ///
    /// # Errors
    /// Conflict, when the lease has been lost: another worker goes on with this job, and this one
    /// must stop.
    pub async fn checkpoint(&self, job: &(impl Job + Sync)) -> Result<()> {
        self.queue.store().checkpoint(&self.claim, encode(job)?).await
    }
}

pub(super) fn encode<J: Job>(job: &J) -> Result<String> {
    serde_json::to_string(job).map_err(|error| {
        Error::internal(format!("a job {} can't be written as JSON", J::NAME)).because(error)
    })
}

type Handler<C> = Arc<dyn Fn(Arc<C>, JobRun) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// The jobs that a program knows.
pub struct Registry<C> {
    handlers: HashMap<&'static str, Handler<C>>,
    pub(super) retries: HashMap<&'static str, u32>,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// Without any job.
    pub fn new() -> Self {
        Self { handlers: HashMap::new(), retries: HashMap::new() }
    }

    /// Adds a kind of job.
    ///
    /// # Panics
    /// When another one has the same name: a mistake that must not get past the first start.
    pub fn register<J: Run<C>>(&mut self) {
        let handler: Handler<C> = Arc::new(|context, run| {
            async move {
                let mut job: J = serde_json::from_str(&run.claim.payload)?;
                job.run(&context, &run).await
            }
            .boxed()
        });
        let before = self.handlers.insert(J::NAME, handler);
        assert!(before.is_none(), "two kinds of job are named {:?}: give one another name", J::NAME);
        self.retries.insert(J::NAME, J::RETRIES);
    }

    pub(super) fn handler(&self, name: &str) -> Option<Handler<C>> {
        self.handlers.get(name).cloned()
    }
}

impl<C: Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}
