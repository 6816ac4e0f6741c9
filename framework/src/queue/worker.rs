//! Runs jobs: claims due jobs, renews their leases while they run, and records how they ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::lane::{DEFAULT_LANE, Lane, Slots};
use super::outbox::Queue;
use super::registry::Registry;
use super::run::JobRun;
use super::store::{Claim, Failure};
use crate::config;
use crate::db::Database;
use crate::error::{Result, chain, is_store_away};

/// The pause before the next look at a database that had no due jobs, unless the worker is woken.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The first backoff after a failure; each further failure doubles it, with 50 % jitter.
const FIRST_BACKOFF_MS: u64 = 1_000;
const MAX_BACKOFF_MS: u64 = 3_600_000;
/// The longest backoff of a job that waits for a store: it runs within seconds once the store is back.
const MAX_STORE_BACKOFF_MS: u64 = 5_000;
/// The pause between two looks for jobs whose time is void.
const VOID_INTERVAL: Duration = Duration::from_secs(10);

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

/// Why an attempt did not complete its job.
struct Reason {
    text: String,
    /// Whether a store was away, so that the job is not to blame.
    is_store_away: bool,
}

impl Reason {
    fn of_job(text: impl Into<String>) -> Self {
        Self { text: text.into(), is_store_away: false }
    }
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
                self.0.queue.store().void_times(database).await?;
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
        let mut voided: Option<Instant> = None;
        while !stop.is_cancelled() {
            if voided.is_none_or(|voided| voided.elapsed() >= VOID_INTERVAL) {
                voided = Some(Instant::now());
                self.void_times(&database).await;
            }
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

    async fn void_times(&self, database: &Database) {
        match self.0.queue.store().void_times(database).await {
            Ok(0) => {}
            Ok(jobs) => tracing::warn!(
                database = database.name(),
                jobs,
                "jobs are due whose times were set while a clock ran ahead"
            ),
            Err(error) => tracing::debug!(error = error.chain(), "void times are looked for later"),
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
        let result = if claim.counted() > retries + 1 {
            // All attempts are used up, and none survived to report an error.
            Err(Reason::of_job(format!("it ended its process {} times", claim.counted() - 1)))
        } else {
            self.run_leased(&claim, stop).await
        };
        let failure = result.err().map(|reason| self.failure(&claim, reason));
        let recorded = self.record(&claim, failure).await;
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

    /// What follows from an attempt's failure.
    fn failure(&self, claim: &Claim, Reason { text, is_store_away }: Reason) -> (String, Failure) {
        let (id, name, attempt) = (claim.id, claim.name.as_str(), claim.counted());
        if is_store_away {
            tracing::warn!(job = id, name, excused = claim.excused, why = text, "a job waits for a store");
            let wait_ms = backoff_ms(claim.excused + 1, MAX_STORE_BACKOFF_MS);
            return (text, Failure::Excused { wait_ms });
        }
        let last = attempt > self.0.queue.retries(&claim.name);
        tracing::warn!(job = id, name, attempt, last, why = text, "a job failed");
        let failure = match last {
            true => Failure::Final,
            false => Failure::Retried { wait_ms: backoff_ms(attempt, MAX_BACKOFF_MS) },
        };
        (text, failure)
    }

    /// Records how an attempt ended. If the database is away or takes no more writes, tries again for as long
    /// as the lease may last.
    async fn record(&self, claim: &Claim, failure: Option<(String, Failure)>) -> Result<bool> {
        let (store, begun) = (self.0.queue.store(), Instant::now());
        loop {
            let recorded = match failure.clone() {
                None => self.0.queue.complete(claim).await,
                Some((text, failure)) => store.fail(claim, text, failure).await,
            };
            match recorded {
                Err(error)
                    if (error.is_unavailable() || error.is_overloaded())
                        && begun.elapsed() < self.0.lease =>
                {
                    tokio::time::sleep(POLL_INTERVAL).await;
                }
                recorded => return recorded,
            }
        }
    }

    /// Runs the job while renewing its lease; stops it if the lease is lost.
    async fn run_leased(&self, claim: &Claim, shutdown: CancellationToken) -> Result<(), Reason> {
        let Some(handler) = self.0.registry.handler(&claim.name) else {
            return Err(Reason::of_job("no job of this name is registered"));
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
                        Ok(result) => result.map_err(|error| Reason {
                            text: chain(&*error),
                            is_store_away: is_store_away(&*error),
                        }),
                        Err(error) => Err(Reason::of_job(format!("it panicked: {error}"))),
                    };
                }
                _ = renewal.tick() => match self.0.queue.store().renew(claim).await {
                    Ok(true) => {}
                    Ok(false) => return Err(Reason::of_job("its lease was lost")),
                    Err(error) => tracing::warn!(job = claim.id, error = error.chain(), "cannot renew a lease"),
                },
            }
        }
    }
}

/// The delay before the next attempt: doubling, with jitter so that jobs that failed together do not
/// retry together.
fn backoff_ms(attempt: u32, max_ms: u64) -> u64 {
    let doubled = FIRST_BACKOFF_MS.saturating_mul(1 << attempt.saturating_sub(1).min(20)).min(max_ms);
    doubled / 2 + rand::random_range(0..=doubled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_within_its_bounds() {
        for attempt in 1..=60 {
            let doubled = (FIRST_BACKOFF_MS << (attempt - 1).min(20)).min(MAX_BACKOFF_MS);
            let waited = backoff_ms(attempt, MAX_BACKOFF_MS);
            assert!((doubled / 2..=doubled * 3 / 2).contains(&waited), "attempt {attempt}: {waited}");
        }
    }
}
