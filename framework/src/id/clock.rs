//! The clock that everything is handed: the machine's, or one that a test moves by hand.
//!
//! It never goes back: when the machine's clock is set back, time goes on from where it was at
//! the pace of the monotonic clock until the machine's clock has caught up. So ids of one process
//! stay in order, and no deadline is passed twice.
//!
//! Asking the machine costs 25 ns and more, and on some machines reading the processor's counter
//! costs as much. That is nothing to a deadline, and more than all the rest of minting an id. So
//! while ids are minted by the million, a thread ticks: it asks once a millisecond, and whoever
//! mints takes the latest time that anybody was told.

use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64};
use std::sync::{Arc, Mutex};
use std::thread;
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

/// One for the process, so that all its clocks tell the same time and one thread ticks for them.
static MACHINE: System = System::new(wall);

impl Clock {
    /// The clock of this machine.
    pub fn system() -> Self {
        Self(Source::System(&MACHINE))
    }

    /// A clock that stands at `now_ms` (milliseconds since the Unix epoch) until it is moved.
    pub fn manual(now_ms: u64) -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(now_ms))))
    }

    /// Milliseconds since the Unix epoch; never less than what it said before.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
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
        match &self.0 {
            Source::Manual(now_ms) => now_ms.fetch_add(by.as_millis() as u64, Relaxed),
            Source::System(_) => panic!("only a manual clock can be advanced"),
        };
    }

    /// The time without asking for it, where that can be: while the clock ticks, the latest that
    /// it told anybody.
    pub(super) fn recent_ms(&self) -> u64 {
        match &self.0 {
            Source::System(system) if system.ticks.load(Acquire) => system.high_ms.load(Relaxed),
            _ => self.now_ms(),
        }
    }

    /// Has it tick for the next tenth of a second at least; a manual clock never does.
    pub(super) fn want_ticks(&self) {
        if let Source::System(system) = &self.0 {
            system.want_ticks();
        }
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
/// After so many ticks the thread ends, unless it was wanted since the last such look.
const TICKS: usize = 100;

// The states of `ticker`; each look of the thread's own takes one off.
const NONE: u8 = 0;
const TICKING: u8 = 1;
const WANTED: u8 = 2;

#[derive(Debug)]
struct System {
    wall: fn() -> Duration,
    /// The latest time told. Written only under the lock.
    high_ms: AtomicU64,
    /// Since the wall clock went back: the time told then, and when that was.
    stepped_back: Mutex<Option<(u64, Instant)>>,
    /// Whether `high_ms` is at most a tick old.
    ticks: AtomicBool,
    /// Whether there is a thread that ticks, and whether it was wanted since its last look.
    ticker: AtomicU8,
}

impl System {
    const fn new(wall: fn() -> Duration) -> Self {
        Self {
            wall,
            high_ms: AtomicU64::new(0),
            stepped_back: Mutex::new(None),
            ticks: AtomicBool::new(false),
            ticker: AtomicU8::new(NONE),
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
        self.high_ms.store(now_ms, Relaxed);
        now_ms
    }

    fn want_ticks(&'static self) {
        if self.ticker.load(Relaxed) == WANTED || self.ticker.swap(WANTED, AcqRel) != NONE {
            return;
        }
        if thread::Builder::new().name("clock".into()).spawn(|| self.run()).is_err() {
            // No room for a thread: who wants it goes on asking the machine, and tries again.
            self.ticker.store(NONE, Relaxed);
        }
    }

    fn run(&self) {
        loop {
            for _ in 0..TICKS {
                thread::sleep(self.tick());
            }
            // Before it gives up its place, as the next thread may begin at once.
            self.ticks.store(false, Relaxed);
            if self.ticker.fetch_sub(1, AcqRel) == TICKING {
                return;
            }
        }
    }

    /// Gives what is left of the millisecond.
    fn tick(&self) -> Duration {
        let wall = (self.wall)();
        self.told(wall);
        self.ticks.store(true, Release);
        Duration::from_nanos(MS_NS - u64::from(wall.subsec_nanos()) % MS_NS)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread::ThreadId;

    use super::super::{EPOCH_MS, Id, Minter, SEQUENCES_PER_MS, Shard, timestamp_ms};
    use super::*;

    const NOON: u64 = EPOCH_MS + 1_000_000;

    /// A machine, a minter by its clock, and how to mint on a shard: gives the id's millisecond.
    fn machine(wall: fn() -> Duration) -> (&'static System, impl Fn() -> u64 + Sync) {
        let system: &'static System = Box::leak(Box::new(System::new(wall)));
        let minter = Minter::new(Clock(Source::System(system)));
        let mint = move || {
            let id: Id<()> = minter.mint(Shard::new(77).unwrap()).unwrap();
            timestamp_ms(id.raw())
        };
        (system, mint)
    }

    fn until(what: &str, is: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < Duration::from_secs(30), "still not so: {what}");
            thread::sleep(Duration::from_millis(1));
        }
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
        // The thread has ticked once, and now it is not given the processor.
        system.ticker.store(WANTED, Relaxed);
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
        // So that no thread is made to tick, and every id asks.
        system.ticker.store(WANTED, Relaxed);
        assert!((0..SEQUENCES_PER_MS).all(|_| mint() == NOON));
        assert_eq!((mint(), ASKED.load(Relaxed)), (NOON + 1, TOLD + 1), "it did not wait for the clock");
    }

    #[test]
    fn few_ids_need_no_ticks() {
        static WALL: AtomicU64 = AtomicU64::new(NOON);
        let (system, mint) = machine(|| Duration::from_millis(WALL.load(Relaxed)));
        for ms in NOON..NOON + 100 {
            WALL.store(ms, Relaxed);
            assert!((0..10).all(|_| mint() == ms), "an id is not exact");
        }
        assert_eq!(system.ticker.load(Relaxed), NONE);
    }

    #[test]
    fn one_thread_ticks_while_a_shard_is_busy_and_ends_after_it() {
        /// Which thread ticked, for each tick.
        static HEARD: Mutex<Vec<ThreadId>> = Mutex::new(Vec::new());
        let (system, mint) = machine(|| {
            let thread = thread::current();
            if thread.name() == Some("clock") {
                HEARD.lock().unwrap().push(thread.id());
            }
            wall()
        });
        let busy = || {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..100).for_each(|_| assert!(mint() > 0)));
                }
            });
        };
        for _ in 0..2 {
            until("it ticks", || {
                busy();
                system.ticks.load(Relaxed)
            });
            until("it has ended", || system.ticker.load(Acquire) == NONE);
            assert!(!system.ticks.load(Relaxed), "what was told last would hold for ever");
        }
        let mut heard = HEARD.lock().unwrap();
        assert!(heard.len() >= 2 * TICKS, "a thread did not tick on");
        heard.dedup();
        let distinct: HashSet<&ThreadId> = heard.iter().collect();
        assert_eq!(distinct.len(), heard.len(), "two threads ticked at once");
    }
}
