//! Ids that say when and where: their layout, their order, and a clock that was set back.

use std::collections::HashSet;
use std::time::Duration;

use tripod::id::{Clock, EPOCH_MS, Id, Minter, Shard};
use tripod::testing::{Backing, Note, Stores};

use super::{Row, State, thousands};

pub(super) const ROW: Row = Row {
    name: "ids",
    of_2011: "ids: 41 bits of milliseconds, 13 of shard, 10 of sequence",
    here: "`id`: `Id<T>`",
    state: State::Shown(|| Box::pin(prove())),
};

/// Ids minted on each shard, by this many threads together.
const EACH: usize = 64;
const THREADS: usize = 4;
/// Rows before the clock is set back, and as many after it.
const ROWS: usize = 100;

async fn prove() -> String {
    let minted = layout();
    let full = one_millisecond();
    let again = clock_set_back().await;
    format!(
        "{} ids minted by {THREADS} threads on {} shards were all distinct; cut into 41, 13 and 10 bits, \
         each gave its millisecond and its shard; sorted as numbers they were sorted by time; {} filled \
         one millisecond of one shard. With the databases opened anew and the clock set back, {again} of {ROWS} new rows \
         minted an id that was taken and got another; none was lost or overwritten.",
        thousands(minted),
        thousands(Shard::all().count()),
        thousands(full),
    )
}

/// Takes ids apart by arithmetic of its own.
fn parts(id: i64) -> (u64, u16, u16) {
    assert!(id > 0, "{id} is negative");
    let bits = format!("{id:064b}");
    let part = |range: std::ops::Range<usize>| u64::from_str_radix(&bits[range], 2).expect("binary digits");
    (part(0..41), part(41..54) as u16, part(54..64) as u16)
}

/// Mints on every shard from several threads, and gives how many ids there were.
fn layout() -> usize {
    let minter = Minter::new(Clock::system());
    let now_ms = || Clock::system().now_ms() - EPOCH_MS;
    let begun = now_ms();
    let mint = || {
        let rounds = 0..EACH / THREADS;
        let ids = rounds.flat_map(|_| Shard::all().map(|shard| (shard, minter.mint::<Note>(shard))));
        ids.map(|(shard, id)| (shard, id.expect("an id"))).collect::<Vec<_>>()
    };
    let lists: Vec<Vec<(Shard, Id<Note>)>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(mint)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread mints")).collect()
    });
    let ended = now_ms();
    for list in &lists {
        let mut last = vec![0; Shard::all().count()];
        for (shard, id) in list {
            let (ms, number, _) = parts(id.raw());
            assert!((begun..=ended).contains(&ms), "{id:?} says {ms}, minted from {begun} to {ended}");
            assert_eq!(number, shard.number(), "the shard in {id:?}");
            assert_eq!((id.shard(), id.created_at().timestamp_millis() as u64), (*shard, ms + EPOCH_MS));
            let before = std::mem::replace(&mut last[usize::from(number)], id.raw());
            assert!(before < id.raw(), "{id:?} is not greater than the one before it on {shard}");
        }
    }
    let mut ids: Vec<i64> = lists.iter().flatten().map(|(_, id)| id.raw()).collect();
    ids.sort_unstable();
    assert!(ids.is_sorted_by_key(|id| parts(*id).0), "sorted as numbers they are not sorted by time");
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id was minted twice");
    count
}

/// Fills a millisecond of one shard, and gives how many ids went into it.
fn one_millisecond() -> usize {
    let clock = Clock::manual(EPOCH_MS + 1_000_000);
    let (minter, shard) = (Minter::new(clock.clone()), Shard::of_text("kevin"));
    let sequences: HashSet<u16> =
        (0..1_024).map(|_| parts(minter.mint::<Note>(shard).expect("an id").raw()).2).collect();
    clock.advance(Duration::from_millis(1));
    let next = parts(minter.mint::<Note>(shard).expect("an id").raw());
    assert_eq!((next.0, next.2), (1_000_001, 0), "the next millisecond begins anew");
    sequences.len()
}

/// Writes rows, a millisecond each; starts again with the clock where it was before them, and
/// writes as many. Gives how many of those met a taken id.
async fn clock_set_back() -> usize {
    let stores = Stores::new(Backing::embedded()).await;
    let author = stores.author("kevin").await;
    stores.clock.advance(Duration::from_millis(1));
    let begun_ms = stores.clock.now_ms();
    let write = async |stores: &Stores, text: &str| {
        let mut ids = Vec::new();
        for n in 0..ROWS {
            ids.push(stores.note(author, &format!("{text} {n}")).await);
            stores.clock.advance(Duration::from_millis(1));
        }
        ids
    };
    let before = write(&stores, "before").await;
    let restarted = stores.reopened_at(begun_ms).await;
    assert!(restarted.clock.now_ms() < stores.clock.now_ms(), "the clock was not set back");
    let after = write(&restarted, "after").await;
    let both = [before.clone(), after.clone()].concat();
    let found = restarted.primary().find_many(&both).await.expect("the databases answer");
    let texts: Vec<String> = found.iter().map(|note| note.peek().text.clone()).collect();
    let expected: Vec<String> =
        ["before", "after"].iter().flat_map(|text| (0..ROWS).map(move |n| format!("{text} {n}"))).collect();
    assert_eq!(texts, expected, "each row is found under its id, as it was written");
    // The first id of a millisecond has the sequence 0; what has another one was minted again.
    let (times, same): (Vec<u64>, Vec<u64>) = (
        after.iter().map(|id| parts(id.raw()).0).collect(),
        before.iter().map(|id| parts(id.raw()).0).collect(),
    );
    assert_eq!(times, same, "the same milliseconds came twice");
    after.iter().filter(|id| parts(id.raw()).2 > 0).count()
}
