//! Ids a second: `tripod::id::IdGenerator` beside ferroid and snowflaked, and one shard beside the
//! format's ceiling. The system's clock, two threads, the same distribution over 64 shards.

mod report;

use std::hint::{black_box, spin_loop};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ferroid::generator::AtomicSnowflakeGenerator;
use ferroid::time::MonotonicClock;
use report::{Bar, Report, progress};
use tripod::id::{Clock, EPOCH_MS, Id, IdGenerator, SEQUENCES_PER_MS, Shard};

const THREADS: usize = 2;
const SHARDS: usize = 64;
const ROUNDS: usize = 15;
const ROUND: Duration = Duration::from_millis(400);
/// Ids a second that the format has room for on one shard.
const CEILING: f64 = (SEQUENCES_PER_MS * 1_000) as f64;

#[allow(missing_docs, reason = "the macro's own constants have no documentation")]
mod layout {
    ferroid::define_snowflake_id!(
        /// The layout of Instagram and of `tripod::id`: 41 bits of time, 13 of shard, 10 of
        /// sequence. Ours leaves the highest bit of the 41 unused, as it is the sign.
        InstagramLayout, u64,
        reserved: 0,
        timestamp: 41,
        machine_id: 13,
        sequence: 10
    );
}

type Ferroid = AtomicSnowflakeGenerator<layout::InstagramLayout, MonotonicClock>;

/// A generator on cache lines of its own, as threads that generate for neighbours disturb each other.
#[repr(align(128))]
struct Padded<T>(T);

fn main() -> Result<()> {
    check_ids()?;
    let shards = shards()?;
    let generator = IdGenerator::new(Clock::system());
    let generate =
        |index: usize| generator.generate::<()>(shards[index]).expect("the clock is right").raw() as u64;

    let clock = MonotonicClock::<1>::with_epoch(Duration::from_millis(EPOCH_MS));
    let of_ferroid = |shard: &Shard| Ferroid::new(u64::from(shard.number()), clock.clone());
    let plain: Vec<Ferroid> = shards.iter().map(of_ferroid).collect();
    let padded: Vec<Padded<Ferroid>> = shards.iter().map(|shard| Padded(of_ferroid(shard))).collect();
    let snowflaked: Vec<Padded<snowflaked::sync::Generator>> =
        (0..SHARDS).map(|shard| Padded(snowflaked::sync::Generator::new(shard as u16))).collect();

    let (mut ours, mut ferroid, mut ferroid_plain, mut snow, mut one) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let rates = [
            rate(SHARDS, generate),
            rate(SHARDS, |index| padded[index].0.next_id(|_| spin_loop()).to_raw()),
            rate(SHARDS, |index| plain[index].next_id(|_| spin_loop()).to_raw()),
            rate(SHARDS, |index| snowflaked[index].0.generate()),
            rate(1, generate),
        ];
        // The first round warms up.
        if round > 0 {
            for (list, rate) in
                [&mut ours, &mut ferroid, &mut ferroid_plain, &mut snow, &mut one].into_iter().zip(rates)
            {
                list.push(rate);
            }
            progress(&format!("round {round} of {ROUNDS}: {:.1} M ids/s", rates[0] / 1e6));
        }
    }

    let mut report = Report::new();
    let spread = format!("{SHARDS} shards, {THREADS} threads");
    report.rounds(
        format!("ids, {spread}"),
        (&ours, "ids/s"),
        ("ferroid 2.0, each generator on its own cache lines", &ferroid),
        Some(Bar::RatioAtLeast(0.95)),
    );
    report.rounds(
        format!("ids, {spread}, beside ferroid as it comes"),
        (&ours, "ids/s"),
        ("ferroid 2.0, generators side by side", &ferroid_plain),
        None,
    );
    report.rounds(
        format!("ids, {spread}, beside snowflaked"),
        (&ours, "ids/s"),
        ("snowflaked 1.0", &snow),
        None,
    );
    let ceilings = vec![CEILING; one.len()];
    report.rounds(
        format!("ids, one shard, {THREADS} threads"),
        (&one, "ids/s"),
        ("the format's ceiling", &ceilings),
        Some(Bar::RatioAtLeast(0.95)),
    );
    report.note(format!(
        "the format's ceiling on {SHARDS} shards is {:.1} M ids/s",
        CEILING * SHARDS as f64 / 1e6
    ));
    report.print();
    Ok(())
}

/// Shards as accounts get them: by the hash of a name. Each once.
fn shards() -> Result<Vec<Shard>> {
    let mut shards: Vec<Shard> = Vec::new();
    for shard in (0..).map(|number| Shard::of_text(&format!("account{number}"))) {
        if !shards.contains(&shard) {
            shards.push(shard);
        }
        if shards.len() == SHARDS {
            break;
        }
    }
    ensure!(shards.len() == SHARDS);
    Ok(shards)
}

/// Ids a second: every thread goes round the shards, each from another one, until time is up.
fn rate(shards: usize, generate: impl Fn(usize) -> u64 + Sync) -> f64 {
    let (start, stop) = (Barrier::new(THREADS + 1), AtomicBool::new(false));
    let thread = |number: usize| {
        start.wait();
        let mut generated = 0_u64;
        let mut shard = number * shards / THREADS;
        while !stop.load(Relaxed) {
            for _ in 0..SHARDS {
                black_box(generate(shard));
                shard = if shard + 1 == shards { 0 } else { shard + 1 };
            }
            generated += SHARDS as u64;
        }
        generated
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || thread(number))).collect();
        start.wait();
        let begun = Instant::now();
        std::thread::sleep(ROUND);
        stop.store(true, Relaxed);
        let generated: u64 = threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum();
        generated as f64 / begun.elapsed().as_secs_f64()
    })
}

/// Untimed: on each shard the ids of a run are distinct, and those of a thread increase.
fn check_ids() -> Result<()> {
    const IDS: usize = 1 << 19;
    let generator = IdGenerator::new(Clock::system());
    let shards = shards()?;
    for count in [1, SHARDS] {
        let run = || -> Result<Vec<Id<()>>> {
            (0..IDS).map(|index| Ok(generator.generate(shards[index % count])?)).collect()
        };
        let runs: Vec<Vec<Id<()>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect::<Result<_>>()
        })?;
        for run in &runs {
            for (index, shard) in shards.iter().enumerate().take(count) {
                let of_shard = || run.iter().skip(index).step_by(count);
                ensure!(of_shard().is_sorted_by(|a, b| a < b), "ids of a shard do not increase");
                ensure!(of_shard().all(|id| id.shard() == *shard), "an id names another shard");
            }
        }
        let mut all: Vec<Id<()>> = runs.into_iter().flatten().collect();
        all.sort_unstable();
        ensure!(all.is_sorted_by(|a, b| a < b), "an id was generated twice");
    }
    progress("every id of the untimed pass is distinct, and those of a shard increase");
    Ok(())
}
