//! The clock that everything uses: the machine's, or a manual one in tests.
//!
//! It never goes back. When the machine's clock is set back, time continues at the pace of the monotonic
//! clock until the machine's clock catches up. Ids minted by one process therefore stay in order, and no
//! deadline passes twice.
//!
//! Reading the machine's clock costs 25 ns or more; on some machines, so does reading the processor's
//! counter. That is negligible for a deadline, but more than the rest of minting an id. So under heavy
//! minting a thread ticks: it reads the clock once a millisecond, and minting uses the latest time
//! returned to any caller.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
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
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System(&'static System),
    Manual(Arc<AtomicU64>),
}

/// One per process, so that all its clocks agree and share one ticking thread.
static MACHINE: System = System::new(wall);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Source::System(&MACHINE))
    }

    /// A clock that stays at `now_ms` (milliseconds since the Unix epoch) until it is advanced.
    pub fn manual(now_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Milliseconds since the Unix epoch; never less than an earlier result.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::System(system) => system.now_ms(),
            Source::Manual(now_ms) => now_ms.load(Relaxed),
        }
    }

    /// The current time as a date.
    pub fn now(&self) -> DateTime<Utc> {
        date(self.now_ms())
    }

    /// Advances a manual clock.
    ///
    /// # Panics
    /// If this is the machine's clock.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::Manual(now_ms) => now_ms.fetch_add(by.as_millis() as u64, Relaxed),
            Source::System(_) => panic!("only a manual clock can be advanced"),
        };
    }

    /// The time for minting: while the thread ticks, the latest time returned to any caller.
    pub(super) fn recent_ms(&self) -> u64 {
        match &self.0 {
            Source::System(system) => system.recent_ms(),
            Source::Manual(now_ms) => now_ms.load(Relaxed),
        }
    }
}

/// Milliseconds since the Unix epoch as a date.
pub(crate) fn date(ms: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms as i64).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// Time since the Unix epoch, by the machine's clock.
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

const MS_NS: u64 = 1_000_000;
/// Reads per millisecond at which the thread starts to tick. Below that, reading takes less than a
/// hundredth of the time, and few services ever mint so many ids.
const BUSY: u64 = 100;
/// Ticks before minting reads the clock itself again, which shows whether it is still busy.
const TICKS: usize = 100;

#[derive(Debug)]
struct System {
    wall: fn() -> Duration,
    /// The latest time returned. Written only under the lock.
    high_ms: AtomicU64,
    /// Set while the wall clock is behind: the time returned when it went back, and when that was.
    stepped_back: Mutex<Option<(u64, Instant)>>,
    /// How often minting read the clock in this millisecond.
    asked: AtomicU64,
    /// Whether a ticking thread exists.
    ticker: AtomicBool,
    /// Whether that thread has ticked, so that `high_ms` is at most one tick old.
    ticks: AtomicBool,
}

impl System {
    const fn new(wall: fn() -> Duration) -> Self {
        Self {
            wall,
            high_ms: AtomicU64::new(0),
            stepped_back: Mutex::new(None),
            asked: AtomicU64::new(0),
            ticker: AtomicBool::new(false),
            ticks: AtomicBool::new(false),
        }
    }

    fn now_ms(&self) -> u64 {
        self.told((self.wall)())
    }

    fn told(&self, wall: Duration) -> u64 {
        let wall_ms = wall.as_millis() as u64;
        if wall_ms == self.high_ms.load(Relaxed) { wall_ms } else { self.another_ms(wall_ms) }
    }

    #[cold]
    fn another_ms(&self, wall_ms: u64) -> u64 {
        let mut stepped_back = self.stepped_back.lock().unwrap_or_else(|broken| broken.into_inner());
        let high_ms = self.high_ms.load(Relaxed);
        let now_ms = if wall_ms >= high_ms {
            *stepped_back = None;
            wall_ms
        } else {
            let (from_ms, at) = stepped_back.get_or_insert_with(|| (high_ms, Instant::now()));
            *from_ms + at.elapsed().as_millis() as u64
        };
        if now_ms > high_ms {
            self.high_ms.store(now_ms, Relaxed);
            self.asked.store(0, Relaxed);
        }
        now_ms
    }

    fn recent_ms(&'static self) -> u64 {
        if self.ticks.load(Acquire) {
            return self.high_ms.load(Relaxed);
        }
        let now_ms = self.now_ms();
        if self.asked.fetch_add(1, Relaxed) == BUSY {
            self.start_ticking();
        }
        now_ms
    }

    /// Starts the ticking thread. Returns `None` if there is one already or it cannot be spawned;
    /// minting then keeps reading the clock.
    #[cold]
    fn start_ticking(&'static self) -> Option<JoinHandle<()>> {
        if self.ticker.swap(true, AcqRel) {
            return None;
        }
        let thread = thread::Builder::new().name("clock".into()).spawn(|| {
            for _ in 0..TICKS {
                thread::sleep(self.tick());
            }
            self.ticks.store(false, Relaxed);
            self.ticker.store(false, Release);
        });
        thread.inspect_err(|_| self.ticker.store(false, Release)).ok()
    }

    /// Records the time and returns what is left of the millisecond.
    fn tick(&self) -> Duration {
        let wall = (self.wall)();
        self.told(wall);
        self.ticks.store(true, Release);
        Duration::from_nanos(MS_NS - u64::from(wall.subsec_nanos()) % MS_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EPOCH_MS, Id, Minter, SEQUENCES_PER_MS, Shard, timestamp_ms};
    use super::*;

    const NOON: u64 = EPOCH_MS + 1_000_000;

    /// A system clock over `wall`, and a function that mints an id and returns its millisecond.
    fn machine(wall: fn() -> Duration) -> (&'static System, impl Fn() -> u64 + Sync) {
        let system: &'static System = Box::leak(Box::new(System::new(wall)));
        let minter = Minter::new(Clock(Source::System(system)));
        let mint = move || {
            let id: Id<()> = minter.mint(Shard::new(77).unwrap()).unwrap();
            timestamp_ms(id.raw())
        };
        (system, mint)
    }

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
        WALL.store(1_000_000, Relaxed);
        let again = system.now_ms();
        assert!((6_000_000..6_010_000).contains(&again), "{again} goes on from an earlier step");
    }

    #[test]
    fn all_clocks_of_the_machine_tell_the_same_time() {
        let (one, other) = (Clock::system(), Clock::system());
        let (Source::System(one), Source::System(other)) = (one.0, other.0) else { unreachable!() };
        assert!(std::ptr::eq(one, other), "each has a time, and a thread, of its own");
    }

    #[test]
    fn while_it_ticks_an_id_bears_the_latest_time_told_and_asks_nobody() {
        static WALL: AtomicU64 = AtomicU64::new(NOON);
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let (system, mint) = machine(|| {
            ASKED.fetch_add(1, Relaxed);
            Duration::from_millis(WALL.load(Relaxed))
        });
        system.tick();
        WALL.store(NOON + 1, Relaxed);
        assert_eq!((mint(), ASKED.load(Relaxed)), (NOON, 1));
        system.tick();
        assert_eq!((mint(), ASKED.load(Relaxed)), (NOON + 1, 2), "a tick was not heard");
        WALL.store(NOON + 2, Relaxed);
        assert_eq!(system.now_ms(), NOON + 2, "a deadline is not exact");
        assert_eq!(
            (mint(), ASKED.load(Relaxed)),
            (NOON + 2, 3),
            "an id is older than what was told before it"
        );
        system.ticks.store(false, Relaxed);
        WALL.store(NOON + 3, Relaxed);
        assert_eq!(mint(), NOON + 3, "nobody ticks, and the id does not ask");
    }

    #[test]
    fn a_tick_holds_until_its_millisecond_is_over() {
        let system = System::new(|| Duration::from_millis(NOON) + Duration::from_micros(300));
        assert_eq!(system.tick(), Duration::from_micros(700));
    }

    #[test]
    fn a_tick_that_does_not_come_is_noticed_when_the_millisecond_is_full() {
        static WALL: AtomicU64 = AtomicU64::new(NOON);
        let (system, mint) = machine(|| Duration::from_millis(WALL.load(Relaxed)));
        // The thread has ticked once and is now starved of CPU time.
        system.ticker.store(true, Relaxed);
        system.tick();
        WALL.store(NOON + 60_000, Relaxed);
        assert!((0..SEQUENCES_PER_MS).all(|_| mint() == NOON));
        assert_eq!(mint(), NOON + 60_000);
    }

    #[test]
    fn a_full_millisecond_waits_until_the_machine_tells_another() {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        const TOLD: u64 = SEQUENCES_PER_MS + 3;
        let (system, mint) = machine(|| {
            let over = ASKED.fetch_add(1, Relaxed) >= TOLD;
            Duration::from_millis(NOON + u64::from(over))
        });
        // Prevents a ticking thread, so that every id reads the clock.
        system.ticker.store(true, Relaxed);
        assert!((0..SEQUENCES_PER_MS).all(|_| mint() == NOON));
        assert_eq!((mint(), ASKED.load(Relaxed)), (NOON + 1, TOLD + 1), "it did not wait for the clock");
    }

    #[test]
    fn many_ids_in_a_millisecond_make_it_tick_and_few_do_not() {
        static WALL: AtomicU64 = AtomicU64::new(NOON);
        static HEARD: AtomicBool = AtomicBool::new(false);
        let (system, mint) = machine(|| {
            HEARD.fetch_or(thread::current().name() == Some("clock"), Relaxed);
            Duration::from_millis(WALL.load(Relaxed))
        });
        for ms in NOON..NOON + 3 {
            WALL.store(ms, Relaxed);
            assert!((0..BUSY).all(|_| mint() == ms), "an id is not exact");
            assert!(!system.ticker.load(Relaxed), "it ticks for few ids");
        }
        mint();
        let begun = Instant::now();
        while !HEARD.load(Relaxed) {
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody ticks");
            thread::yield_now();
        }
    }

    #[test]
    fn one_thread_ticks_at_a_time_and_ends() {
        static ASKED: AtomicU64 = AtomicU64::new(0);
        let (system, mint) = machine(|| Duration::from_millis(NOON + ASKED.fetch_add(1, Relaxed)));
        for round in 1..=2 {
            let thread = system.start_ticking().expect("a thread");
            assert!(system.start_ticking().is_none(), "two threads tick");
            thread.join().unwrap();
            assert_eq!(ASKED.load(Relaxed), round * (TICKS as u64 + 1) - 1, "it did not tick on");
            assert_eq!(mint(), NOON + round * (TICKS as u64 + 1) - 1, "what was told last holds for ever");
        }
    }
}
