//! Property tests on mutated inputs: what a parser does to any input at all.
//!
//! cargo-fuzz needs a nightly compiler and runs without end. This needs neither, and takes part in every
//! run of the tests: [`RUNS`] inputs, or a million with `FULL=1`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

const RUNS: usize = 20_000;
const FULL_RUNS: usize = 1_000_000;
/// No input grows beyond this, in bytes.
const MAX_BYTES: usize = 4_096;
/// No input takes longer than this, on a machine that is busy building.
const DEADLINE: Duration = Duration::from_secs(5);

/// Calls `target` with mutations of the corpus: with bits flipped, parts removed, repeated, replaced by
/// parts of another input or by one of `words`. The seed is `TEST_SEED`, or a new one, which is printed.
///
/// # Panics
/// If `target` does, naming the input, or takes too long.
pub(crate) fn fuzz(corpus: &[&[u8]], words: &[&[u8]], target: impl Fn(&[u8])) {
    let seed = std::env::var("TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let runs = if std::env::var_os("FULL").is_some() { FULL_RUNS } else { RUNS };
    let (mut random, began) = (StdRng::seed_from_u64(seed), Instant::now());
    println!("TEST_SEED={seed}");
    corpus.iter().for_each(|input| target(input));
    for run in 0..runs {
        let mut input = corpus.choose(&mut random).unwrap().to_vec();
        for _ in 0..random.random_range(1..=8) {
            mutate(&mut input, corpus, words, &mut random);
        }
        input.truncate(MAX_BYTES);
        let begun = Instant::now();
        let panicked = catch_unwind(AssertUnwindSafe(|| target(&input))).is_err();
        let shown = || input.escape_ascii().to_string();
        assert!(!panicked, "run {run} panicked with \"{}\"", shown());
        assert!(begun.elapsed() < DEADLINE, "run {run} took {:?} with \"{}\"", begun.elapsed(), shown());
    }
    println!("{runs} runs in {:?}, 0 panics", began.elapsed());
}

fn mutate(input: &mut Vec<u8>, corpus: &[&[u8]], words: &[&[u8]], random: &mut StdRng) {
    let part = |bytes: &[u8], random: &mut StdRng| {
        let start = random.random_range(0..=bytes.len());
        start..random.random_range(start..=bytes.len().min(start + 64))
    };
    let here = part(input, random);
    match random.random_range(0..7) {
        0 if !input.is_empty() => {
            let at = random.random_range(0..input.len());
            input[at] ^= 1 << random.random_range(0..8);
        }
        1 if !input.is_empty() => {
            let at = random.random_range(0..input.len());
            input[at] = *[0, 1, 0x7f, 0x80, 0xff, b'0', b' '].choose(random).unwrap();
        }
        2 => drop(input.drain(here)),
        3 => {
            let repeated = input[here.clone()].repeat(random.random_range(1..4));
            input.splice(here.start..here.start, repeated);
        }
        4 => {
            let other = corpus.choose(random).unwrap();
            input.splice(here, other[part(other, random)].iter().copied());
        }
        5 => input.truncate(here.start),
        _ => {
            let word = words.choose(random).copied().unwrap_or_default();
            input.splice(here.start..here.start, word.iter().copied());
        }
    }
}
