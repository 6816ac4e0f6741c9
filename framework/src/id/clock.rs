//! The clock that everything is handed: the machine's, or one that a test moves by hand.
//!
//! It never goes back: when the machine's clock is set back, time goes on from where it was at
//! the pace of the monotonic clock until the machine's clock has caught up. So ids of one process
//! stay in order, and no deadline is passed twice.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

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
        Self(Arc::new(Source::System(System::new(wall_ms))))
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

fn wall_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[derive(Debug)]
struct System {
    wall_ms: fn() -> u64,
    /// The latest time told. Written once a millisecond, so that reading it stays cheap.
    high_ms: AtomicU64,
    /// Since the wall clock went back: the time told then, and when that was.
    stepped_back: Mutex<Option<(u64, Instant)>>,
}

impl System {
    fn new(wall_ms: fn() -> u64) -> Self {
        Self { wall_ms, high_ms: AtomicU64::new(0), stepped_back: Mutex::new(None) }
    }

    fn now_ms(&self) -> u64 {
        let (wall, high) = ((self.wall_ms)(), self.high_ms.load(Relaxed));
        if wall == high {
            wall
        } else if wall > high {
            self.high_ms.fetch_max(wall, Relaxed).max(wall)
        } else {
            self.after_a_step_back(wall)
        }
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
        let system = System::new(|| WALL.load(Relaxed));
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
