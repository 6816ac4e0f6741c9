//! The handle that puts jobs into the outbox and looks after the dead ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::job::encode;
use super::store::Store;
use super::{Job, Registry};
use crate::config;
use crate::error::{Error, Result};
use crate::shard::{Shards, Tx};

/// Enqueues jobs; clones share everything.
#[derive(Clone)]
pub struct Queue(Arc<Inner>);

struct Inner {
    store: Store,
    retries: HashMap<&'static str, u32>,
    wake: Notify,
}

/// A job that failed too often, or killed its process too often, and waits for a person.
#[derive(Clone, Debug)]
pub struct DeadJob {
    /// Its id, for [`Queue::retry`] and [`Queue::discard`].
    pub id: i64,
    /// Its kind.
    pub name: String,
    /// What it was to do, in JSON.
    pub payload: String,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last attempt failed, where it lived to say so.
    pub last_error: Option<String>,
}

impl Queue {
    /// A queue for the jobs of this registry.
    pub fn new<C: Send + Sync + 'static>(
        shards: Shards,
        registry: &Registry<C>,
        settings: &config::Queue,
    ) -> Self {
        let store = Store { shards, lease_ms: u64::from(settings.lease_seconds) * 1000 };
        Self(Arc::new(Inner { store, retries: registry.retries.clone(), wake: Notify::new() }))
    }

    /// Writes a job into the transaction: it will run if, and only if, that commits.
    ///
    /// # Errors
    /// Configuration, when its kind is not registered.
    pub async fn enqueue<J: Job + Sync>(&self, tx: &Tx<'_>, job: &J) -> Result<i64> {
        self.enqueue_after(tx, job, Duration::ZERO).await
    }

    /// The same, to begin no sooner than after `delay`.
    ///
    /// # Errors
    /// As [`Self::enqueue`].
    pub async fn enqueue_after<J: Job + Sync>(&self, tx: &Tx<'_>, job: &J, delay: Duration) -> Result<i64> {
        if !self.0.retries.contains_key(J::NAME) {
            return Err(Error::configuration(format!(
                "no job named {:?} is registered: add it to the app with .job::<...>()",
                J::NAME
            )));
        }
        let id = self.store().insert(tx, J::NAME, encode(job)?, delay.as_millis() as u64).await?;
        if delay.is_zero() {
            let queue = self.clone();
            tx.after_commit(async move { queue.0.wake.notify_waiters() });
        }
        Ok(id)
    }

    /// Takes back a job that no worker has begun, because its effect has been written already.
    /// One that has begun does no harm: effects are idempotent.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn take_back(&self, job: i64) -> Result<()> {
        self.store().take_back(job).await.map(drop)
    }

    /// The same in a transaction on the job's shard, whose effect it is that the job has nothing left
    /// to do. `false` when a worker has begun it.
    ///
    /// # Errors
    /// Those of its database; internal, on another shard.
    pub async fn take_back_in(&self, tx: &Tx<'_>, job: i64) -> Result<bool> {
        self.store().take_back_in(tx, job).await
    }

    /// Lets a job begin now that was to begin later. Nothing happens when it has begun or is gone.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn hasten(&self, job: i64) -> Result<()> {
        if self.store().hasten(job).await? {
            self.0.wake.notify_waiters();
        }
        Ok(())
    }

    /// Jobs that wait or run, by name.
    ///
    /// # Errors
    /// Those of any database.
    pub async fn waiting(&self) -> Result<BTreeMap<String, i64>> {
        let mut sums = BTreeMap::new();
        for (name, count) in self.store().waiting().await? {
            *sums.entry(name).or_default() += count;
        }
        Ok(sums)
    }

    /// The jobs put aside as dead.
    ///
    /// # Errors
    /// Those of any database.
    pub async fn dead(&self) -> Result<Vec<DeadJob>> {
        let dead = self.store().dead().await?.into_iter();
        Ok(dead
            .map(|job| DeadJob {
                id: job.id,
                name: job.name,
                payload: job.payload,
                attempts: job.attempt,
                last_error: job.last_error,
            })
            .collect())
    }

    /// Gives a dead job all its attempts again. `false` when there is none of this id.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn retry(&self, job: i64) -> Result<bool> {
        self.store().retry(job).await
    }

    /// Deletes a dead job. `false` when there is none of this id.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn discard(&self, job: i64) -> Result<bool> {
        self.store().discard(job).await
    }

    /// Refuses jobs in the outbox that this program does not know.
    ///
    /// # Errors
    /// Configuration, naming them.
    pub async fn check_registered(&self) -> Result<()> {
        for (name, count) in self.waiting().await? {
            if !self.0.retries.contains_key(name.as_str()) {
                return Err(Error::configuration(format!(
                    "{count} job(s) named {name:?} are queued, but this program has none of that name: \
                     register it with .job::<...>(), or run the version that knows it until they are done"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(super) fn retries(&self, name: &str) -> u32 {
        self.0.retries.get(name).copied().unwrap_or_default()
    }

    pub(super) fn names(&self) -> Vec<&'static str> {
        self.0.retries.keys().copied().collect()
    }

    /// Ends when a job has been enqueued by this process since it was enabled.
    pub(super) fn woken(&self) -> Notified<'_> {
        self.0.wake.notified()
    }
}
