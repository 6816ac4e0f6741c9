//! Clocks that are wrong: of processes on the same PostgreSQL databases, and on files.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sea_orm::ActiveValue::Set;

use tripod::conformance::{Author, Note, Reads, Stores, note};
use tripod::error::Result;
use tripod::id::{Clock, EPOCH_MS, Id, timestamp_ms};
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::Shared;

const HOUR: Duration = Duration::from_secs(3_600);

fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn backing() -> Backing {
    let installation = Shared::get().await.installation().await;
    let redis = installation.redis();
    Backing::servers(installation.direct(), installation).with_redis(&redis)
}

/// Jobs are due, leased and retried by the database's clock: a process that is an hour ahead or behind
/// neither delays them nor takes them from others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_process_with_a_wrong_clock_enqueues_is_due_at_once() {
    let right = Stores::at(backing().await, Clock::system()).await;
    let ahead = right.reopened_with_clock(Clock::of_machine(|| wall() + HOUR), |_| {}).await;
    let (author, reader) = (right.author("author").await, right.author("reader").await);
    right.graph.connect::<Reads>(reader, author).await.unwrap();
    assert!(right.timeline(reader).await.is_empty());
    let note = ahead.note(author, "an hour ahead").await;
    let worker = right.work();
    eventually("the note is in the timeline", async || {
        (right.timeline(reader).await == [note]).then_some(())
    })
    .await;
    right.idle().await;

    // One that is behind claims nothing too late, and a lease of one that is ahead is as long as any.
    let behind = right.reopened_with_clock(Clock::of_machine(|| wall() - HOUR), |_| {}).await;
    drop(worker);
    let note = right.note(author, "now").await;
    let _late = behind.work();
    eventually("the note is in the timeline", async || {
        right.timeline(reader).await.contains(&note).then_some(())
    })
    .await;
    right.idle().await;
}

const YEAR: Duration = Duration::from_secs(365 * 86_400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_from_the_servers_is_refused_at_start() {
    let right = Stores::at(backing().await, Clock::system()).await;
    right.check_clock(false).await.unwrap();
    for (clock, says) in [
        (Clock::of_machine(|| wall() + HOUR), "s ahead of that of the database"),
        (Clock::of_machine(|| wall() - HOUR), "s behind that of the database"),
        (Clock::of_machine(|| wall() + 30 * YEAR), "s ahead of that of the database"),
        (Clock::of_machine(|| wall() + 40 * YEAR), "ids hold times from 2025 to 2059"),
        (Clock::of_machine(|| wall() - 3 * YEAR), "ids hold times from 2025 to 2059"),
    ] {
        let wrong = right.reopened_with_clock(clock, |_| {}).await;
        let refused = wrong.check_clock(true).await.unwrap_err();
        assert!(refused.is_configuration() && refused.to_string().contains(says), "{refused}");
    }
}

async fn write_note(stores: &Stores, author: Id<Author>) -> Result<Id<Note>> {
    let new =
        note::ActiveModel { author_id: Set(author), text: Set("a note".to_owned()), ..Default::default() };
    stores.shards.write(author, move |tx| async move { tx.insert(new).await }).await
}

/// While the clock jumps ahead and back, ids are as new as the time, or there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_while_a_process_runs_makes_no_id_of_the_future() {
    static AHEAD_S: AtomicU64 = AtomicU64::new(0);
    let clock = Clock::of_machine(|| wall() + Duration::from_secs(AHEAD_S.load(Relaxed)));
    let stores = Stores::at(backing().await, clock).await;
    stores.check_clock(false).await.unwrap();
    let author = stores.author("author").await;
    for ahead_s in [3_600, 40 * 365 * 86_400] {
        AHEAD_S.store(ahead_s, Relaxed);
        let refused = write_note(&stores, author).await.unwrap_err();
        assert!(refused.is_unavailable() || refused.is_internal(), "{refused}");
        AHEAD_S.store(0, Relaxed);
        let id = eventually("ids are generated again", async || write_note(&stores, author).await.ok()).await;
        let off = timestamp_ms(id.raw()).abs_diff(wall().as_millis() as u64);
        assert!(off < 10_000, "the id is {off} ms off");
    }
}

/// On files there is no other clock than the newest row.
#[tokio::test]
async fn ids_continue_above_the_newest_row_of_a_file() {
    let now_ms = EPOCH_MS + 4 * YEAR.as_millis() as u64;
    let stores = Stores::at(Backing::embedded(), Clock::manual(now_ms)).await;
    let author = stores.author("author").await;
    let mut newest = stores.note(author, "now").await;
    // Set back a little, and started again: ids continue.
    let back = stores.reopened_at(now_ms - 600_000).await;
    back.check_clock(false).await.unwrap();
    for _ in 0..3_000 {
        let next = back.shards.generate_id(author).unwrap();
        assert!(next > newest, "an id is below an existing one");
        newest = next;
    }
    let written = back.note(author, "later").await;
    assert!(written > newest);

    let years_back = stores.reopened_at(now_ms - 3 * YEAR.as_millis() as u64).await;
    let refused = years_back.check_clock(false).await.unwrap_err();
    assert!(refused.is_configuration() && refused.to_string().contains("TRIPOD_TRUST_CLOCK"), "{refused}");
    years_back.check_clock(true).await.unwrap();
    assert!(years_back.note(author, "much later").await > written);
}

#[tokio::test]
async fn a_clock_before_all_ids_is_refused_by_an_empty_service() {
    let stores = Stores::at(Backing::embedded(), Clock::manual(EPOCH_MS - 1)).await;
    let refused = stores.check_clock(true).await.unwrap_err();
    assert!(refused.is_configuration() && refused.to_string().contains("2024-12-31"), "{refused}");
}
