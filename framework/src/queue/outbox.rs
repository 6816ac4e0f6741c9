//! The handles that enqueue and cancel jobs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::job::{Job, encode};
use super::many::{Change, NewJob, Outcome};
use super::registry::{Kind, Registry};
use super::store::{Claim, Queued, Store};
use crate::config;
use crate::error::{Error, Result};
use crate::id::{Id, Shard};
use crate::shard::{Combine, Combiner, Shards, Tx};

/// The id of a queued job. It encodes the shard that the job was enqueued on.
pub type JobId = Id<Queued>;

impl Tx {
    /// Enqueues a job: it runs if, and only if, this transaction commits. Returns its id, or the id of
    /// the existing job if this one is [unique](Job::unique).
    ///
    /// # Errors
    /// Configuration, if its kind is not registered.
    pub async fn enqueue<J: Job>(&self, job: J) -> Result<JobId> {
        self.enqueue_after(job, Duration::ZERO).await
    }

    /// The same, but the job begins no sooner than after `delay`.
    ///
    /// # Errors
    /// As for [`Self::enqueue`].
    pub async fn enqueue_after<J: Job>(&self, job: J, delay: Duration) -> Result<JobId> {
        let queue = Queue(self.shards().service::<Inner>()?);
        queue.0.check_kind::<J>()?;
        let delay_ms = delay.as_millis() as u64;
        let id = queue.store().insert(self, J::NAME, encode(&job)?, delay_ms, job.unique()).await?;
        if delay.is_zero() {
            self.after_commit(async move { queue.0.wake.notify_waiters() });
        }
        Ok(id)
    }

    /// Cancels a job of this shard that no worker has begun; `false` if one has, or the job is gone.
    ///
    /// # Errors
    /// Any error of its database; internal, if the job is on another shard.
    pub async fn cancel(&self, job: JobId) -> Result<bool> {
        Queue(self.shards().service::<Inner>()?).store().cancel_in(self, job.raw()).await
    }
}

/// Manages queued jobs; clones share everything. [`Tx::enqueue`] enqueues jobs.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    store: Store,
    kinds: HashMap<&'static str, Kind>,
    wake: Notify,
    combiner: Combiner<Queue>,
}

impl Inner {
    /// # Errors
    /// Configuration, if jobs of this kind are not registered.
    fn check_kind<J: Job>(&self) -> Result<()> {
        match self.kinds.contains_key(J::NAME) {
            true => Ok(()),
            false => Err(Error::configuration(format!(
                "no job named {:?} is registered: add it to the app with .job::<...>()",
                J::NAME
            ))),
        }
    }
}

impl Queue {
    /// A queue for the jobs of this registry.
    pub fn new<C: Send + Sync + 'static>(
        shards: Shards,
        registry: &Registry<C>,
        settings: &config::Queue,
    ) -> Self {
        let store = Store { shards: shards.clone(), lease_ms: u64::from(settings.lease_seconds) * 1000 };
        let combiner = Combiner::new(shards.databases().len());
        let inner = Arc::new(Inner { store, kinds: registry.kinds.clone(), wake: Notify::new(), combiner });
        shards.provide(&inner);
        Self(inner)
    }

    /// Enqueues a job that belongs to no other row. Jobs that arrive together share a commit, so this takes a
    /// fraction of the time of a transaction of its own. See [`Tx::enqueue`].
    ///
    /// # Errors
    /// Configuration, if its kind is not registered; overloaded, if thousands wait; any error of its database.
    pub async fn enqueue<J: Job>(&self, shard: impl Into<Shard>, job: J) -> Result<JobId> {
        self.0.check_kind::<J>()?;
        let shard = shard.into();
        if job.unique().is_none() {
            let new = NewJob { name: J::NAME, payload: encode(&job)?, delay_ms: 0 };
            if let Outcome::Enqueued(id) = self.combine(Change::Enqueue(shard, new)).await? {
                self.wake();
                return Ok(id);
            }
        }
        self.store().shards.write(shard, move |tx| async move { tx.enqueue(job).await }).await
    }

    /// Deletes a job that is done. `false` if the lease was lost.
    pub(super) async fn complete(&self, claim: &Claim) -> Result<bool> {
        match self.combine(Change::Complete { id: claim.id, attempt: claim.attempt }).await? {
            Outcome::Completed(is_completed) => Ok(is_completed),
            _ => self.store().complete(claim).await,
        }
    }

    /// Cancels a job that no worker has begun, because its effect is already written. A job that has
    /// begun does no harm: effects are idempotent.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn cancel(&self, job: JobId) -> Result<()> {
        self.store().cancel(job.raw()).await.map(drop)
    }

    /// Makes a delayed job due now. Does nothing if the job has begun or is gone.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn run_now(&self, job: JobId) -> Result<()> {
        if self.store().run_now(job.raw()).await? {
            self.0.wake.notify_waiters();
        }
        Ok(())
    }

    /// Whether a job of this kind and shard waits or runs whose payload matches a pattern of SQL's LIKE.
    pub(crate) async fn is_waiting<J: Job>(&self, shard: Shard, payload: &str) -> Result<bool> {
        self.store().is_waiting(shard, J::NAME, payload).await
    }

    /// Checks that this program knows every job in the outbox.
    ///
    /// # Errors
    /// Configuration, naming the unknown jobs.
    pub async fn check_registered(&self) -> Result<()> {
        for (name, count) in self.waiting().await? {
            if !self.0.kinds.contains_key(name.as_str()) {
                return Err(Error::configuration(format!(
                    "{count} job(s) named {name:?} are queued, but this program has none of that name: \
                     register it with .job::<...>(), or run the version that knows it until they are done"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn combiner(&self) -> &Combiner<Self> {
        &self.0.combiner
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    /// The lane of a kind of job; `None` if this program has none of that name.
    pub(super) fn lane(&self, name: &str) -> Option<&'static str> {
        self.0.kinds.get(name).map(|kind| kind.lane)
    }

    pub(super) fn retries(&self, name: &str) -> u32 {
        self.0.kinds.get(name).map_or(0, |kind| kind.retries)
    }

    /// Wakes the workers of this process.
    pub(super) fn wake(&self) {
        self.0.wake.notify_waiters();
    }

    /// Completes when this process has enqueued a job since the future was enabled.
    pub(super) fn woken(&self) -> Notified<'_> {
        self.0.wake.notified()
    }
}
