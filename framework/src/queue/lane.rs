//! Lanes: jobs in one lane share its workers and its rate, and wait for no other lane.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The lane of jobs that do not name one.
pub const DEFAULT_LANE: &str = "default";

/// A lane of the queue. Each has its own workers, so that a slow lane delays no other.
///
/// ```
/// use tripod::queue::Lane;
/// let mail = Lane::new("mail").workers(2).per_second(10).priority(-1);
/// assert_eq!(mail.name(), "mail");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lane {
    name: &'static str,
    workers: u32,
    priority: i32,
    per_second: Option<NonZeroU32>,
}

impl Lane {
    /// A lane with one worker, priority 0 and no rate limit.
    pub const fn new(name: &'static str) -> Self {
        Self { name, workers: 1, priority: 0, per_second: None }
    }

    /// Its name, as given in `#[job(lane = "...")]`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How many of its jobs a process runs concurrently.
    ///
    /// # Panics
    /// If `workers` is 0.
    #[must_use]
    pub const fn workers(mut self, workers: u32) -> Self {
        assert!(workers > 0, "a lane without workers never runs a job");
        self.workers = workers;
        self
    }

    /// Lanes with higher priority claim their due jobs first whenever a database is polled.
    #[must_use]
    pub const fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// How many of its jobs a process begins per second, at most.
    ///
    /// # Panics
    /// If `jobs` is 0.
    #[must_use]
    pub const fn per_second(mut self, jobs: u32) -> Self {
        self.per_second = NonZeroU32::new(jobs);
        assert!(self.per_second.is_some(), "a lane of no jobs a second never runs one");
        self
    }
}

/// The run-time state of a lane.
pub(super) struct Slots {
    /// The kinds of job that run in it.
    pub(super) names: Vec<&'static str>,
    free: Arc<Semaphore>,
    rate: Option<Rate>,
}

/// A token bucket of jobs that may begin: filled evenly, holding at most one second's worth.
struct Rate {
    per_second: f64,
    state: Mutex<(f64, Instant)>,
}

impl Rate {
    fn new(per_second: NonZeroU32) -> Self {
        let per_second = f64::from(per_second.get());
        Self { per_second, state: Mutex::new((per_second, Instant::now())) }
    }

    /// How many may begin now.
    fn available(&self) -> f64 {
        let mut state = self.state.lock().unwrap_or_else(|broken| broken.into_inner());
        let (left, since) = *state;
        let now = Instant::now();
        *state = ((left + (now - since).as_secs_f64() * self.per_second).min(self.per_second), now);
        state.0
    }

    fn spend(&self, jobs: usize) {
        self.state.lock().unwrap_or_else(|broken| broken.into_inner()).0 -= jobs as f64;
    }
}

impl Slots {
    /// All lanes that have kinds of job, highest priority first.
    pub(super) fn of(lanes: &[Lane], kinds: &[(&'static str, &'static str)]) -> Vec<Self> {
        let mut lanes = lanes.to_vec();
        lanes.sort_by_key(|lane| std::cmp::Reverse(lane.priority));
        let slots = lanes.into_iter().map(|lane| Self {
            names: kinds.iter().filter(|(_, of)| *of == lane.name).map(|(name, _)| *name).collect(),
            free: Arc::new(Semaphore::new(lane.workers as usize)),
            rate: lane.per_second.map(Rate::new),
        });
        slots.filter(|slots| !slots.names.is_empty()).collect()
    }

    /// Takes one of `shares` equal shares of the slots, for as many jobs as may begin now. If the rate
    /// allows none, also returns how long until it does.
    pub(super) fn take(&self, shares: usize) -> (Vec<OwnedSemaphorePermit>, Option<Duration>) {
        let (most, wait) = match self.rate.as_ref().map(|rate| (rate, rate.available())) {
            None => (usize::MAX, None),
            Some((_, available)) if available >= 1.0 => (available as usize, None),
            Some((rate, available)) => {
                (0, Some(Duration::from_secs_f64((1.0 - available).max(0.0) / rate.per_second)))
            }
        };
        let most = most.min(self.free.available_permits().div_ceil(shares.max(1)));
        let slots = std::iter::from_fn(|| self.free.clone().try_acquire_owned().ok());
        (slots.take(most).collect(), wait)
    }

    /// Records that this many jobs begin.
    pub(super) fn begin(&self, jobs: usize) {
        if let Some(rate) = &self.rate {
            rate.spend(jobs);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_has_slots_of_its_own_and_the_highest_priority_comes_first() {
        let lanes = [Lane::new("slow").workers(1), Lane::new("fast").workers(3).priority(5)];
        let slots = Slots::of(&lanes, &[("a", "slow"), ("b", "fast"), ("c", "fast")]);
        assert_eq!((slots[0].names.as_slice(), slots[1].names.as_slice()), (&["b", "c"][..], &["a"][..]));
        let (fast, _) = slots[0].take(1);
        assert_eq!((fast.len(), slots[0].take(1).0.len(), slots[1].take(1).0.len()), (3, 0, 1));
        drop(fast);
        let (half, _) = slots[0].take(2);
        assert_eq!((half.len(), slots[0].take(2).0.len()), (2, 1), "no slots are left for another database");
        drop(half);
        assert_eq!(slots[0].take(1).0.len(), 3);
    }

    #[test]
    fn a_rate_bounds_how_many_begin() {
        let slots = Slots::of(&[Lane::new("mail").workers(10).per_second(2)], &[("a", "mail")]);
        let (taken, wait) = slots[0].take(1);
        assert_eq!((taken.len(), wait), (2, None));
        assert_eq!(slots[0].take(1).0.len(), 2, "slots without a job count against the rate");
        slots[0].begin(2);
        let (taken, wait) = slots[0].take(1);
        assert!(taken.is_empty() && wait.is_some_and(|wait| wait <= Duration::from_secs(1)), "{wait:?}");
    }
}
