//! Runs jobs: claims what is due, keeps the lease while it runs, and says how it ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::store::Claim;
use super::{JobRun, Queue, Registry};
use crate::config;
use crate::db::Database;
use crate::error::Result;

/// How long a database is left alone when it had nothing to do and nobody woke us.
const POLL: Duration = Duration::from_secs(1);
/// After a failed attempt: this long, doubled by each further one, give or take half.
const FIRST_BACKOFF_MS: u64 = 1_000;
const LONGEST_BACKOFF_MS: u64 = 3_600_000;

/// Works the outboxes of all databases with one bound on the jobs that run at once.
pub struct Worker<C> {
    queue: Queue,
    registry: Arc<Registry<C>>,
    context: Arc<C>,
    slots: Arc<Semaphore>,
    lease: Duration,
}

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            registry: self.registry.clone(),
            context: self.context.clone(),
            slots: self.slots.clone(),
            lease: self.lease,
        }
    }
}

impl<C: Send + Sync + 'static> Worker<C> {
    /// A worker that hands `context` to the jobs.
    pub fn new(queue: Queue, registry: Registry<C>, context: C, settings: &config::Queue) -> Self {
        Self {
            queue,
            registry: Arc::new(registry),
            context: Arc::new(context),
            slots: Arc::new(Semaphore::new(settings.workers as usize)),
            lease: Duration::from_secs(settings.lease_seconds.into()),
        }
    }

    /// Works until `stop` is cancelled, and then until the jobs that run have ended. Those that
    /// take longer than the caller waits are stopped with it and taken over when their lease ends.
    pub async fn run(self, stop: CancellationToken) {
        let jobs = TaskTracker::new();
        let databases = self.queue.store().shards.databases().to_vec();
        let loops = databases.into_iter().map(|database| self.work(database, stop.clone(), jobs.clone()));
        futures::future::join_all(loops).await;
        jobs.close();
        jobs.wait().await;
    }

    async fn work(&self, database: Database, stop: CancellationToken, jobs: TaskTracker) {
        loop {
            // Listening begins before the claim, or a job enqueued in between would wait.
            let mut woken = std::pin::pin!(self.queue.woken());
            woken.as_mut().enable();
            let claimed = match self.claim(&database, &stop).await {
                Ok(None) => return,
                Ok(Some(claimed)) => claimed,
                Err(error) => {
                    // The database is away; its jobs are safe in it, and we come again.
                    tracing::warn!(database = database.name(), error = error.chain(), "cannot claim jobs");
                    Vec::new()
                }
            };
            if claimed.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = woken => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
            for (claim, slot) in claimed {
                let worker = self.clone();
                jobs.spawn(async move {
                    worker.attempt(claim).await;
                    drop(slot);
                });
            }
        }
    }

    /// As many due jobs as there are free slots; none at all once it is time to stop.
    async fn claim(
        &self,
        database: &Database,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<(Claim, OwnedSemaphorePermit)>>> {
        let first = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(None),
            slot = self.slots.clone().acquire_owned() => match slot {
                Ok(slot) => slot,
                Err(_) => return Ok(None),
            },
        };
        let more = std::iter::from_fn(|| self.slots.clone().try_acquire_owned().ok());
        let slots: Vec<_> = std::iter::once(first).chain(more).collect();
        let claims = self.queue.store().claim(database, &self.queue.names(), slots.len()).await?;
        debug_assert!(claims.len() <= slots.len(), "a job is leased that nobody begins");
        Ok(Some(claims.into_iter().zip(slots).collect()))
    }

    async fn attempt(&self, claim: Claim) {
        let retries = self.queue.retries(&claim.name);
        let result = if claim.attempt > retries + 1 {
            // It has had its tries and never lived to report one.
            Err(format!("it ended its process {} times", claim.attempt - 1))
        } else {
            self.run_leased(&claim).await
        };
        let store = self.queue.store();
        let recorded = match result {
            Ok(()) => store.complete(&claim).await,
            Err(why) => {
                let last = claim.attempt > retries;
                let (id, name, attempt) = (claim.id, claim.name.as_str(), claim.attempt);
                tracing::warn!(job = id, name, attempt, last, why, "a job failed");
                let again = (!last).then(|| store.shards.clock().now_ms() + backoff_ms(claim.attempt));
                store.fail(&claim, why, again).await
            }
        };
        match recorded {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                job = claim.id,
                name = claim.name,
                "the lease was lost: another worker has this job"
            ),
            Err(error) => {
                // Its lease will end, and it runs again; that is what idempotence is for.
                tracing::error!(
                    job = claim.id,
                    name = claim.name,
                    error = error.chain(),
                    "cannot record a job's end"
                );
            }
        }
    }

    /// Runs the job while renewing its lease; stops it when the lease is lost.
    async fn run_leased(&self, claim: &Claim) -> Result<(), String> {
        let Some(handler) = self.registry.handler(&claim.name) else {
            return Err("no job of this name is registered".to_owned());
        };
        let run = JobRun { queue: self.queue.clone(), claim: claim.clone() };
        // Its own task, so that a panic is an error of the job and not of the worker.
        let mut job =
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(handler(self.context.clone(), run)));
        let mut renewal = tokio::time::interval(self.lease / 3);
        renewal.tick().await;
        loop {
            tokio::select! {
                ended = &mut job => {
                    return match ended {
                        Ok(result) => result.map_err(|error| format!("{error:#}")),
                        Err(error) => Err(format!("it panicked: {error}")),
                    };
                }
                _ = renewal.tick() => match self.queue.store().renew(claim).await {
                    Ok(true) => {}
                    Ok(false) => return Err("its lease was lost".to_owned()),
                    Err(error) => tracing::warn!(job = claim.id, error = error.chain(), "cannot renew a lease"),
                },
            }
        }
    }
}

/// How long until the next attempt: doubling, with jitter so that jobs that failed together do
/// not come back together.
fn backoff_ms(attempt: u32) -> u64 {
    let doubled =
        FIRST_BACKOFF_MS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(LONGEST_BACKOFF_MS);
    doubled / 2 + rand::random_range(0..=doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        for attempt in 1..=60 {
            let doubled = (FIRST_BACKOFF_MS << (attempt - 1).min(20)).min(LONGEST_BACKOFF_MS);
            let waited = backoff_ms(attempt);
            assert!((doubled / 2..=doubled * 3 / 2).contains(&waited), "attempt {attempt}: {waited}");
        }
    }
}
