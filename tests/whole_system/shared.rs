//! Processes that share Redis: whatever happens to Redis, their results match the databases.

mod differential;
mod edges;
mod failover;
mod history;
mod limits;
mod refusal;
mod sessions;
mod stampede;
mod start;
mod steps;
mod timelines;

use std::time::Duration;

use tripod::conformance::{Author, Note, Reads, Stores};
use tripod::id::Id;
use tripod::shard::Keyset;
use tripod::testing::eventually;

/// A reader's expected timeline, from the databases.
async fn expected(stores: &Stores, reader: Id<Author>) -> Vec<Id<Note>> {
    let read = stores.primary();
    let followed = read.targets::<Reads>(reader, Keyset::newest(1_000)).await.unwrap();
    let authors: Vec<_> = followed.into_items().into_iter().chain([reader]).collect();
    let rows = read.list_many::<Note>(&authors, Keyset::newest(1_000)).await.unwrap();
    rows.items.iter().map(|(_, row)| row.peek().id).collect()
}

/// Waits until a process shows this timeline: it hears of the changes of others within 100 ms, or later
/// on a busy machine.
async fn shows(stores: &Stores, reader: Id<Author>, expected: &[Id<Note>], after: &str) {
    let mut shown = Vec::new();
    for _ in 0..1_000 {
        shown = stores.timeline(reader).await;
        if shown == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(shown, expected, "after {after}");
}

/// The seed of a random test: `TEST_SEED`, or a new one, which is printed.
fn seed() -> u64 {
    let seed = std::env::var("TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("TEST_SEED={seed}");
    seed
}

async fn note(stores: &Stores, author: Id<Author>) -> Id<Note> {
    stores.clock.advance(Duration::from_millis(1));
    stores.note(author, "a note").await
}

/// Waits until each process is connected to Redis.
async fn connected(processes: &[&Stores]) {
    for stores in processes {
        let redis = stores.redis.as_ref().expect("these stores have one");
        eventually("Redis is back", async || redis.is_up().then_some(())).await;
    }
}

/// Waits until no job is left, advancing the clock for jobs that wait for a retry. It advances slowly,
/// so that a running job does not lose its lease again and again.
async fn settled(stores: &Stores) {
    eventually("the queue runs empty", async || {
        stores.clock.advance(Duration::from_millis(500));
        stores.queue.waiting().await.unwrap().is_empty().then_some(())
    })
    .await;
    let dead = stores.queue.dead().await.unwrap();
    assert!(dead.is_empty(), "given up: {dead:?}");
}
