//! Runs jobs: claims what is due, keeps the lease while it runs, and says how it ended.

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
use crate::error::Result;

/// How long a database is left alone when it had nothing to do and nobody woke us.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// After a failed attempt: this long, doubled by each further one, give or take half.
const FIRST_BACKOFF_MS: u64 = 1_000;
const MAX_BACKOFF_MS: u64 = 3_600_000;

/// Works the outboxes of all databases, with a bound on the jobs of each lane that run at once.
pub struct Worker<C>(Arc<Inner<C>>);

struct Inner<C> {
    queue: Queue,
    registry: Registry<C>,
    context: Arc<C>,
    /// The lanes, those of higher priority first.
    lanes: Vec<Slots>,
    /// Told when a job has ended, and so its slot is free.
    freed: Notify,
    lease: Duration,
}

/// What one look at a database has brought.
struct ClaimedJobs {
    jobs: Vec<(Claim, OwnedSemaphorePermit)>,
    /// How long to wait before the next look, when nothing has happened.
    pause: Duration,
    /// Whether there may be more that is due than there were slots for.
    is_limited: bool,
}

impl<C> Clone for Worker<C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Send + Sync + 'static> Worker<C> {
    /// A worker that hands `context` to the jobs.
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

    /// Works until `stop` is cancelled, and then until the jobs that run have ended. Those that
    /// take longer than the caller waits are stopped with it and taken over when their lease ends.
    pub async fn run(self, stop: CancellationToken) {
        let jobs = TaskTracker::new();
        let databases = self.0.queue.store().shards.databases().to_vec();
        let loops = databases.into_iter().map(|database| self.work(database, stop.clone(), jobs.clone()));
        futures::future::join(futures::future::join_all(loops), self.schedule(&stop)).await;
        jobs.close();
        jobs.wait().await;
    }

    /// Runs the jobs that are due, and those that they enqueue, until none is due; gives their number. For
    /// tests, which step through time.
    ///
    /// # Errors
    /// Those of the databases.
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
                // Its times stay due until the database answers.
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
            // Listening begins before the claim, or a job enqueued in between would wait.
            let mut woken = std::pin::pin!(self.0.queue.woken());
            woken.as_mut().enable();
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            let ClaimedJobs { jobs: claimed, pause, is_limited } = match self.claim(&database).await {
                Ok(claimed) => claimed,
                Err(error) => {
                    // The database is away; its jobs are safe in it, and we come again.
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

    /// As many due jobs of each lane as it has free slots.
    async fn claim(&self, database: &Database) -> Result<ClaimedJobs> {
        let mut claimed = ClaimedJobs { jobs: Vec::new(), pause: POLL_INTERVAL, is_limited: false };
        let databases = self.0.queue.store().shards.databases().len();
        for lane in &self.0.lanes {
            // A share only, so that the loops of other databases find some, too, while this one is asked.
            let (slots, wait) = lane.take(databases);
            let free = slots.len();
            let claims = match free {
                0 => Vec::new(),
                free => self.0.queue.store().claim(database, &lane.names, free).await?,
            };
            debug_assert!(claims.len() <= free, "a job is leased that nobody begins");
            lane.begin(claims.len());
            claimed.is_limited |= claims.len() == free;
            claimed.pause = claimed.pause.min(wait.unwrap_or(POLL_INTERVAL));
            let is_left = claims.len() < free;
            claimed.jobs.extend(claims.into_iter().zip(slots));
            if is_left {
                // They are free again for a loop that found none meanwhile.
                self.0.freed.notify_waiters();
            }
        }
        Ok(claimed)
    }

    async fn attempt(&self, claim: Claim, stop: CancellationToken) {
        let retries = self.0.queue.retries(&claim.name);
        let result = if claim.attempt > retries + 1 {
            // It has had its tries and never lived to report one.
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
    async fn run_leased(&self, claim: &Claim, shutdown: CancellationToken) -> Result<(), String> {
        let Some(handler) = self.0.registry.handler(&claim.name) else {
            return Err("no job of this name is registered".to_owned());
        };
        let run = JobRun { store: self.0.queue.store().clone(), claim: claim.clone(), shutdown };
        // Its own task, so that a panic is an error of the job and not of the worker.
        let mut job =
            tokio_util::task::AbortOnDropHandle::new(tokio::spawn(handler(self.0.context.clone(), run)));
        let mut renewal = tokio::time::interval(self.0.lease / 3);
        renewal.tick().await;
        loop {
            tokio::select! {
                ended = &mut job => {
                    return match ended {
                        Ok(result) => result.map_err(|error| format!("{error:#}")),
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

/// How long until the next attempt: doubling, with jitter so that jobs that failed together do
/// not come back together.
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
