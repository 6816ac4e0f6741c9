//! The clock that everything is handed: the machine's, or one that a test moves by hand.
//!
//! It never goes back: when the machine's clock is set back, time goes on from where it was at
//! the pace of the monotonic clock until the machine's clock has caught up. So ids of one process
//! stay in order, and no deadline is passed twice.
//!
//! Asking the machine costs 25 ns and more, so it is asked once a millisecond at most: it also
//! says how much of the millisecond is left, and until then the processor's counter is enough.

use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use quanta::Clock as Counter;

/// A shared clock; clones tell the same time.
///
/// ```
/// use std::time::Duration;
/// use tripod::id::Clock;
/// let clock = Clock::manual(1_800_000_000_000);
/// clock.advance(Duration::from_secs(1));
/// assert_eq!(clock.now_ms(), 1_800_000_001_000);
/// ```
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System(System),
    Manual(AtomicU64),
}

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Arc::new(Source::System(System::new(wall))))
    }

    /// A clock that stands at `now_ms` (milliseconds since the Unix epoch) until it is moved.
    pub fn manual(now_ms: u64) -> Self {
        Self(Arc::new(Source::Manual(AtomicU64::new(now_ms))))
    }

    /// Milliseconds since the Unix epoch; never less than what it said before.
    pub fn now_ms(&self) -> u64 {
        match &*self.0 {
            Source::System(system) => system.now_ms(),
            Source::Manual(now_ms) => now_ms.load(Relaxed),
        }
    }

    /// The same instant as a date.
    pub fn now(&self) -> DateTime<Utc> {
        date(self.now_ms())
    }

    /// Moves a manual clock on.
    ///
    /// # Panics
    /// On the machine's clock, which nobody here may move.
    pub fn advance(&self, by: Duration) {
        match &*self.0 {
            Source::Manual(now_ms) => now_ms.fetch_add(by.as_millis() as u64, Relaxed),
            Source::System(_) => panic!("only a manual clock can be advanced"),
        };
    }
}

/// Milliseconds since the Unix epoch as a date.
pub(crate) fn date(ms: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms as i64).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What has passed since the Unix epoch, by the machine's clock.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

const MS_NS: u64 = 1_000_000;

#[derive(Debug)]
struct System {
    wall: fn() -> Duration,
    /// The processor's counter, or the monotonic clock where it has none to rely on.
    counter: Counter,
    /// The latest time told.
    high_ms: AtomicU64,
    /// Up to here on the counter `high_ms` is the present time. Written after it.
    holds_until_ns: AtomicU64,
    /// Since the wall clock went back: the time told then, and when that was.
    stepped_back: Mutex<Option<(u64, Instant)>>,
}

impl System {
    fn new(wall: fn() -> Duration) -> Self {
        let (counter, high_ms, holds_until_ns) = (Counter::new(), AtomicU64::new(0), AtomicU64::new(0));
        Self { wall, counter, high_ms, holds_until_ns, stepped_back: Mutex::new(None) }
    }

    fn now_ms(&self) -> u64 {
        // What has passed already wraps around to a long time left, and so does a counter that
        // went back.
        let left_ns = self.holds_until_ns.load(Acquire).wrapping_sub(self.counter_ns());
        if left_ns <= MS_NS { self.high_ms.load(Relaxed) } else { self.ask() }
    }

    fn counter_ns(&self) -> u64 {
        self.counter.delta_as_nanos(0, self.counter.raw())
    }

    #[cold]
    fn ask(&self) -> u64 {
        // Read first: a pause between the two makes the answer hold shorter, never longer.
        let counter_ns = self.counter_ns();
        let wall = (self.wall)();
        let wall_ms = wall.as_millis() as u64;
        if wall_ms < self.high_ms.load(Relaxed) {
            return self.after_a_step_back(wall_ms);
        }
        let now = self.high_ms.fetch_max(wall_ms, Relaxed).max(wall_ms);
        let left_ns = MS_NS - u64::from(wall.subsec_nanos()) % MS_NS;
        self.holds_until_ns.store(counter_ns + left_ns, Release);
        now
    }

    #[cold]
    fn after_a_step_back(&self, wall: u64) -> u64 {
        let mut stepped = self.stepped_back.lock().unwrap_or_else(|broken| broken.into_inner());
        let high = self.high_ms.load(Relaxed);
        if wall >= high {
            *stepped = None;
            return high;
        }
        // An anchor of an earlier step is behind `high` by what the wall clock told since.
        let (from, at) = match *stepped {
            Some((from, at)) if from + at.elapsed().as_millis() as u64 >= high => (from, at),
            _ => *stepped.insert((high, Instant::now())),
        };
        let now = from + at.elapsed().as_millis() as u64;
        self.high_ms.fetch_max(now, Relaxed).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_clock_that_steps_back_goes_on_at_the_monotonic_pace() {
        static WALL: AtomicU64 = AtomicU64::new(5_000_000);
        let system = System::new(|| Duration::from_millis(WALL.load(Relaxed)));
        assert_eq!(system.now_ms(), 5_000_000);
        WALL.store(1_000_000, Relaxed);
        assert!(system.now_ms() >= 5_000_000, "time went back");
        let stopped = Instant::now();
        let mut last = system.now_ms();
        while last < 5_000_003 {
            let now = system.now_ms();
            assert!(now >= last, "time went back");
            assert!(stopped.elapsed() < Duration::from_secs(10), "time stood still");
            last = now;
        }
        WALL.store(6_000_000, Relaxed);
        assert_eq!(system.now_ms(), 6_000_000, "the wall clock leads again once it has caught up");
    }
}
