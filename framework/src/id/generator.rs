//! Mints the next id of a shard, in order, without a lock.
//!
//! Each shard has one word: milliseconds in the high bits, the sequence in the low ten. The next value
//! is that word plus one or the current millisecond, whichever is greater.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::layout::{EPOCH_MS, LAST_INSTANT_MS, SEQUENCE_BITS, SEQUENCES_PER_MS, SHARDS, Shard, compose};
use super::{Clock, Id};
use crate::error::{Error, Result};

/// Mints ids for every shard; clones share their sequences.
///
/// Two processes may generate the same id. That is harmless, because an id counts only once a row is
/// claimed under it: the second insert fails, and the loser retries with a new id.
///
/// ```
/// use tripod::id::{Clock, Id, IdGenerator, Shard};
/// struct Note;
/// let generator = IdGenerator::new(Clock::system());
/// let shard = Shard::of_text("kevin");
/// let (first, second): (Id<Note>, Id<Note>) = (generator.generate(shard)?, generator.generate(shard)?);
/// assert!(first < second && first.shard() == shard);
/// # Ok::<(), tripod::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct IdGenerator {
    clock: Clock,
    last: Arc<[AtomicU64]>,
    limits: Arc<Limits>,
}

/// The times that ids may bear, in milliseconds since their epoch.
#[derive(Debug)]
struct Limits {
    /// Ids bear this time or later, whatever the clock shows.
    least: AtomicU64,
    /// If the clock shows a later time, none is generated.
    most: AtomicU64,
}

impl IdGenerator {
    /// A generator that reads `clock`.
    pub fn new(clock: Clock) -> Self {
        let limits = Arc::new(Limits { least: AtomicU64::new(0), most: AtomicU64::new(u64::MAX) });
        Self { clock, last: (0..SHARDS).map(|_| AtomicU64::new(0)).collect(), limits }
    }

    /// Generates only ids that are later than this time, in milliseconds since the Unix epoch. Until the clock
    /// has passed it, ids bear the next milliseconds after it.
    pub(crate) fn continue_after(&self, ms: u64) {
        self.limits.least.fetch_max(ms.saturating_sub(EPOCH_MS) + 1, Relaxed);
    }

    /// Generates no id while the clock is past this time, in milliseconds since the Unix epoch; replaces an
    /// earlier limit.
    pub(crate) fn limit_to(&self, ms: u64) {
        self.limits.most.store(ms.saturating_sub(EPOCH_MS), Relaxed);
    }

    /// The next id of a shard, greater than every id this generator has generated for it.
    ///
    /// After 1,024 ids in one millisecond it spins until the next one: less than a millisecond, and only
    /// on a shard that takes more than a million rows a second.
    ///
    /// # Errors
    /// Internal, if the clock is before 2025 or past [`LAST_INSTANT_MS`]; unavailable, while it disagrees with
    /// the databases' clocks.
    pub fn generate<T>(&self, shard: Shard) -> Result<Id<T>> {
        let last = &self.last[usize::from(shard.number())];
        let mut now = since_epoch(self.clock.recent_ms())?;
        if now > self.limits.most.load(Relaxed) {
            return Err(Error::unavailable(
                "no ids are generated while this machine's clock disagrees with the databases'",
            ));
        }
        let least = self.limits.least.load(Relaxed);
        loop {
            let before = last.load(Relaxed);
            let next = (now.max(least) << SEQUENCE_BITS).max(before + 1);
            // A clock that is behind passes its milliseconds in vain.
            if next >> SEQUENCE_BITS > now && now >= least {
                std::hint::spin_loop();
                now = since_epoch(self.clock.now_ms())?;
                continue;
            }
            if last.compare_exchange_weak(before, next, Relaxed, Relaxed).is_ok() {
                let sequence = next & (SEQUENCES_PER_MS - 1);
                return Ok(Id::from_raw(compose(next >> SEQUENCE_BITS, shard, sequence)));
            }
        }
    }
}

fn since_epoch(now_ms: u64) -> Result<u64> {
    match now_ms.checked_sub(EPOCH_MS) {
        Some(since) if since <= LAST_INSTANT_MS => Ok(since),
        Some(_) => Err(Error::internal(
            "ids cannot hold times after 2059-11-04: correct this machine's clock, or move to wider ids",
        )),
        None => Err(Error::internal(
            "this machine's clock is before 2025-01-01, when ids begin: correct the clock",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::super::timestamp_ms;
    use super::*;

    const NOON: u64 = EPOCH_MS + 1_000_000;

    fn shard() -> Shard {
        Shard::new(77).unwrap()
    }

    #[test]
    fn a_full_millisecond_waits_for_the_next() {
        let clock = Clock::manual(NOON);
        let generator = IdGenerator::new(clock.clone());
        let ids: Vec<Id<()>> = (0..1024).map(|_| generator.generate(shard()).unwrap()).collect();
        assert!(ids.is_sorted() && ids.iter().collect::<HashSet<_>>().len() == 1024);
        assert!(ids.iter().all(|id| timestamp_ms(id.raw()) == NOON));

        let overflow = std::thread::spawn(move || generator.generate::<()>(shard()).unwrap());
        // The thread can't finish before the clock moves, however long it runs.
        assert!(!overflow.is_finished());
        clock.advance(Duration::from_millis(1));
        let next = overflow.join().unwrap();
        assert_eq!(timestamp_ms(next.raw()), NOON + 1);
        assert!(next > ids[1023]);
    }

    #[test]
    fn a_clock_that_is_moved_by_hand_is_seen_at_once_however_many_ids_there_are() {
        let clock = Clock::manual(NOON);
        let generator = IdGenerator::new(clock.clone());
        for ms in NOON..NOON + 3 {
            let ids: Vec<Id<()>> = (0..100).map(|_| generator.generate(shard()).unwrap()).collect();
            assert!(ids.iter().all(|id| timestamp_ms(id.raw()) == ms), "an id is not of {ms}");
            clock.advance(Duration::from_millis(1));
        }
    }

    #[test]
    fn ids_continue_after_the_newest_one_while_the_clock_is_behind() {
        let clock = Clock::manual(NOON);
        let generator = IdGenerator::new(clock.clone());
        generator.continue_after(NOON + 3);
        let ids: Vec<Id<()>> = (0..3_000).map(|_| generator.generate(shard()).unwrap()).collect();
        assert!(ids.is_sorted() && ids.iter().collect::<HashSet<_>>().len() == 3_000);
        assert_eq!(timestamp_ms(ids[0].raw()), NOON + 4);
        assert_eq!(timestamp_ms(ids[2_999].raw()), NOON + 6, "a full millisecond did not pass to the next");
        clock.advance(Duration::from_secs(1));
        assert_eq!(timestamp_ms(generator.generate::<()>(shard()).unwrap().raw()), NOON + 1_000);
    }

    #[test]
    fn no_id_is_generated_beyond_the_limit() {
        let clock = Clock::manual(NOON);
        let generator = IdGenerator::new(clock.clone());
        generator.limit_to(NOON + 10);
        generator.generate::<()>(shard()).unwrap();
        clock.advance(Duration::from_millis(11));
        assert!(generator.generate::<()>(shard()).unwrap_err().is_unavailable());
        generator.limit_to(NOON + 20);
        generator.generate::<()>(shard()).unwrap();
    }

    #[test]
    fn shards_do_not_share_a_sequence() {
        let generator = IdGenerator::new(Clock::manual(NOON));
        for shard in Shard::all() {
            let id: Id<()> = generator.generate(shard).unwrap();
            assert_eq!((id.shard(), id.raw() & 1023), (shard, 0));
        }
    }

    #[test]
    fn threads_never_share_an_id() {
        let generator = IdGenerator::new(Clock::system());
        let ids: Vec<Id<()>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..5_000).map(|_| generator.generate(shard()).unwrap()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 20_000);
    }

    #[test]
    fn the_last_representable_instant_mints_and_the_next_is_an_error() {
        let clock = Clock::manual(EPOCH_MS + LAST_INSTANT_MS);
        let generator = IdGenerator::new(clock.clone());
        let last: Id<()> = generator.generate(shard()).unwrap();
        assert!(last.raw() > 0);
        clock.advance(Duration::from_millis(1));
        let error = generator.generate::<()>(shard()).unwrap_err();
        assert!(error.to_string().contains("2059"), "{error}");

        let early = IdGenerator::new(Clock::manual(EPOCH_MS - 1)).generate::<()>(shard()).unwrap_err();
        assert!(early.to_string().contains("2025"), "{early}");
    }
}
