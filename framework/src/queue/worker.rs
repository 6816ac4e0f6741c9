//! Runs jobs: claims due jobs, renews their leases while they run, and records how they ended.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lane::{DEFAULT_LANE, Lane, Slots};
use super::outbox::Queue;
use super::registry::Registry;
use super::run::JobRun;
use super::store::Claim;
use crate::config;
use crate::db::Database;
use crate::error::{Result, chain};

/// The pause before the next look at a database that had no due jobs, unless the worker is woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The first backoff after a failure; each further failure doubles it, with 50 % jitter.
const FIRST_BACKOFF_MS: u64 = 1_000;
const MAX_BACKOFF_MS: u64 = 3_600_000;

/// Runs the jobs of all databases, with a limit per lane on how many run concurrently.
pub struct Worker<C>(Arc<Inner<C>>);

struct Inner<C> {
    queue: Queue,
    registry: Registry<C>,
    context: Arc<C>,
    /// The lanes, highest priority first.
    lanes: Vec<Slots>,
    /// Notified when slots become free.
    freed: Notify,
    lease: Duration,
}

/// The result of one look at a database.
struct ClaimedJobs {
    jobs: Vec<(Claim, OwnedSemaphorePermit)>,
    /// How long to wait before the next look, if nothing happens.
    pause: Duration,
    /// Whether more jobs may be due than there were slots.
    is_limited: bool,
}

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Send + Sync + 'static> Worker<C> {
    /// A worker that passes `context` to the jobs.
    pub fn new(queue: Queue, registry: Registry<C>, context: C, settings: &config::Queue) -> Self {
        let mut lanes = vec![Lane::new(DEFAULT_LANE).workers(settings.workers.max(1))];
        lanes.extend(&registry.lanes);
        let kinds: Vec<_> = registry.kinds.iter().map(|(name, kind)| (*name, kind.lane)).collect();
        Self(Arc::new(Inner {
            queue,
            lanes: Slots::of(&lanes, &kinds),
            registry,
            context: Arc::new(context),
            freed: Notify::new(),
            lease: Duration::from_secs(settings.lease_seconds.into()),
        }))
    }

    /// Works until `stop` is cancelled, then until the running jobs have ended. If the caller does not
    /// wait for them, they stop with it, and other workers take them over when their leases end.
    pub async fn run(self, stop: CancellationToken) {
        let jobs = TaskTracker::new();
        let databases = self.0.queue.store().shards.databases().to_vec();
        let loops = databases.into_iter().map(|database| self.work(database, stop.clone(), jobs.clone()));
        futures::future::join(futures::future::join_all(loops), self.schedule(&stop)).await;
        jobs.close();
        jobs.wait().await;
    }

    /// Runs due jobs, and the jobs that they enqueue, until none is due; returns their number. For
    /// tests, which step through time.
    ///
    /// # Errors
    /// Any database error.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn run_due(&self) -> Result<usize> {
        let mut count = 0;
        loop {
            self.0.queue.store().run_schedules(&self.0.registry.schedules).await?;
            let mut begun = Vec::new();
            for database in self.0.queue.store().shards.databases() {
                begun.extend(self.claim(database).await?.jobs);
            }
            if begun.is_empty() {
                return Ok(count);
            }
            count += begun.len();
            let attempts = begun.into_iter().map(async |(claim, slot)| {
                self.attempt(claim, CancellationToken::new()).await;
                drop(slot);
            });
            futures::future::join_all(attempts).await;
        }
    }

    /// Enqueues scheduled jobs at their times.
    async fn schedule(&self, stop: &CancellationToken) {
        let Inner { queue, registry, .. } = &*self.0;
        while !registry.schedules.is_empty() {
            match queue.store().run_schedules(&registry.schedules).await {
                Ok(begun) if !begun.is_empty() => queue.wake(),
                Ok(_) => {}
                // The scheduled times stay due until the database responds.
                Err(error) => tracing::warn!(error = error.chain(), "cannot enqueue scheduled jobs"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(POLL_INTERVAL) => {}
            }
        }
    }

    async fn work(&self, database: Database, stop: CancellationToken, jobs: TaskTracker) {
        while !stop.is_cancelled() {
            // Start listening before the claim; otherwise a job enqueued in between would wait.
            let mut woken = std::pin::pin!(self.0.queue.woken());
            woken.as_mut().enable();
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            let ClaimedJobs { jobs: claimed, pause, is_limited } = match self.claim(&database).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // The database is down. Its jobs are safe in it, and the loop tries again.
                    tracing::warn!(database = database.name(), error = error.chain(), "cannot claim jobs");
                    ClaimedJobs { jobs: Vec::new(), pause: POLL_INTERVAL, is_limited: false }
                }
            };
            if claimed.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = woken => {}
                    () = freed, if is_limited => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
            for (claim, slot) in claimed {
                let (worker, stop) = (self.clone(), stop.clone());
                jobs.spawn(async move {
                    worker.attempt(claim, stop).await;
                    drop(slot);
                    worker.0.freed.notify_waiters();
                });
            }
        }
    }

    /// Claims as many due jobs of each lane as there are free slots.
    async fn claim(&self, database: &Database) -> Result<ClaimedJobs> {
        let mut claimed = ClaimedJobs { jobs: Vec::new(), pause: POLL_INTERVAL, is_limited: false };
        let databases = self.0.queue.store().shards.databases().len();
        for lane in &self.0.lanes {
            // Only a share, so that the loops of other databases also find slots while this query runs.
            let (slots, wait) = lane.take(databases);
            let free = slots.len();
            let claims = match free {
                0 => Vec::new(),
                free => self.0.queue.store().claim(database, &lane.names, free).await?,
            };
            debug_assert!(claims.len() <= free, "more jobs are leased than can be started");
            lane.begin(claims.len());
            claimed.is_limited |= claims.len() == free;
            claimed.pause = claimed.pause.min(wait.unwrap_or(POLL_INTERVAL));
            let is_left = claims.len() < free;
            claimed.jobs.extend(claims.into_iter().zip(slots));
            if is_left {
                // The unused slots are free again for loops that found none meanwhile.
                self.0.freed.notify_waiters();
            }
        }
        Ok(claimed)
    }

    async fn attempt(&self, claim: Claim, stop: CancellationToken) {
        let retries = self.0.queue.retries(&claim.name);
        let result = if claim.attempt > retries + 1 {
            // All attempts are used up, and none survived to report an error.
            Err(format!("it ended its process {} times", claim.attempt - 1))
        } else {
            self.run_leased(&claim, stop).await
        };
        let store = self.0.queue.store();
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
                // The lease will end and the job runs again; that is why jobs are idempotent.
                tracing::error!(
                    job = claim.id,
                    name = claim.name,
                    error = error.chain(),
                    "cannot record a job's end"
                );
            }
        }
    }

    /// Runs the job while renewing its lease; stops it if the lease is lost.
    async fn run_leased(&self, claim: &Claim, shutdown: CancellationToken) -> Result<(), String> {
        let Some(handler) = self.0.registry.handler(&claim.name) else {
            return Err("no job of this name is registered".to_owned());
        };
        let run = JobRun { store: self.0.queue.store().clone(), claim: claim.clone(), shutdown };
        // Spawned, so that a panic is an error of the job and not of the worker.
        let mut job =
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(handler(self.0.context.clone(), run)));
        let mut renewal = tokio::time::interval(self.0.lease / 3);
        renewal.tick().await;
        loop {
            tokio::select! {
                ended = &mut job => {
                    return match ended {
                        Ok(result) => result.map_err(|error| chain(&*error)),
                        Err(error) => Err(format!("it panicked: {error}")),
                    };
                }
                _ = renewal.tick() => match self.0.queue.store().renew(claim).await {
                    Ok(true) => {}
                    Ok(false) => return Err("its lease was lost".to_owned()),
                    Err(error) => tracing::warn!(job = claim.id, error = error.chain(), "cannot renew a lease"),
                },
            }
        }
    }
}

/// The delay before the next attempt: doubling, with jitter so that jobs that failed together do not
/// retry together.
fn backoff_ms(attempt: u32) -> u64 {
    let doubled = FIRST_BACKOFF_MS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(MAX_BACKOFF_MS);
    doubled / 2 + rand::random_range(0..=doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        for attempt in 1..=60 {
            let doubled = (FIRST_BACKOFF_MS << (attempt - 1).min(20)).min(MAX_BACKOFF_MS);
            let waited = backoff_ms(attempt);
            assert!((doubled / 2..=doubled * 3 / 2).contains(&waited), "attempt {attempt}: {waited}");
        }
    }
}
