//! Timelines in Redis: readers never notice that it is empty, outdated or unreachable.

use std::time::{Duration, Instant};

use tripod::conformance::{Author, Note, Reads, Stores};
use tripod::id::Id;
use tripod::shard::Keyset;
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::Redis;

use super::{connected, expected, note, settled, shows};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_comes_back_with_an_old_snapshot_is_not_believed() {
    let mut redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let first = note(&stores, author).await;
    settled(&stores).await;
    assert_eq!(stores.timeline(reader).await, [first]);
    redis.save().await;
    let second = note(&stores, author).await;
    settled(&stores).await;
    assert_eq!(stores.timeline(reader).await, [second, first], "the item was not pushed");
    redis.restart().await;
    assert_ne!(redis.ask::<usize>(&["DBSIZE"]).await, 0, "the snapshot was not read");
    assert_eq!(stores.timeline(reader).await, [second, first], "the feed is wrong while Redis reconnects");
    connected(&[&stores]).await;
    assert_eq!(stores.timeline(reader).await, [second, first], "the old list was shown");
    let third = note(&stores, author).await;
    settled(&stores).await;
    assert_eq!(stores.timeline(reader).await, [third, second, first], "the new list does not get new items");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_author_pulled_by_one_process_is_pulled_by_all() {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let other = stores.reopened().await;
    let author = stores.author("famous").await;
    let mut readers = Vec::new();
    for n in 0..4 {
        let reader = stores.author(&format!("reader-{n}")).await;
        stores.graph.connect::<Reads>(reader, author).await.unwrap();
        assert!(other.timeline(reader).await.is_empty(), "the timeline is not empty at first");
        readers.push(reader);
    }
    let _worker = stores.work();
    let item = note(&stores, author).await;
    settled(&stores).await;
    coherent(&other).await;
    for reader in &readers {
        shows(&other, *reader, &[item], "the process did not mark the author").await;
    }
    redis.flush().await;
    let item = [note(&stores, author).await, item];
    settled(&stores).await;
    coherent(&other).await;
    shows(&other, readers[0], &item, "Redis was flushed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_all_goes_on_and_nothing_is_missed_afterwards() {
    let mut redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let _worker = stores.work();
    let [reader, a, b] = [stores.author("reader").await, stores.author("a").await, stores.author("b").await];
    stores.graph.connect::<Reads>(reader, a).await.unwrap();
    let first = note(&stores, a).await;
    settled(&stores).await;
    assert_eq!(stores.timeline(reader).await, [first]);
    // The same process has the same lists afterwards: they must be repaired, not discarded.
    redis.pause();
    // Commands sent before the loss is noticed would run after the pause.
    stores.primary().timeline_ids::<Note>(reader, Keyset::newest(3)).await.unwrap();
    assert_eq!(stores.timeline(reader).await, [first]);
    assert!(!stores.redis.as_ref().unwrap().is_up());
    let second = note(&stores, b).await;
    let third = note(&stores, a).await;
    assert!(stores.graph.connect::<Reads>(reader, b).await.unwrap());
    assert!(stores.graph.disconnect::<Reads>(reader, a).await.unwrap());
    let mine = note(&stores, reader).await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(stores.timeline(reader).await, [mine, second], "the feed is not read from the shards");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "each read waits for Redis, which is down");
    redis.resume();
    connected(&[&stores]).await;
    settled(&stores).await;
    assert_eq!(stores.timeline(reader).await, [mine, second]);
    stores.graph.connect::<Reads>(reader, a).await.unwrap();
    assert_eq!(stores.timeline(reader).await, [mine, third, second, first]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_is_bounded_and_expires() {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&format!("{}?prefix=club:", redis.url()))).await;
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    stores.timeline(reader).await;
    for _ in 0..40 {
        note(&stores, author).await;
    }
    settled(&stores).await;
    let key = format!("club:t:notes:{}", reader.raw());
    let length: usize = redis.ask(&["LLEN", &key]).await;
    assert!((11..=13).contains(&length), "{length} elements for ten items");
    let left: i64 = redis.ask(&["TTL", &key]).await;
    assert!((604_000..=604_800).contains(&left), "{left}");
    redis.ask::<()>(&["EXPIRE", &key, "1000"]).await;
    let read = stores.primary().timeline_ids::<Note>(reader, Keyset::newest(100)).await.unwrap();
    let ids: Vec<Id<Note>> = read.items.into_iter().map(|(id, ())| id).collect();
    assert_eq!(ids, expected(&stores, reader).await);
    assert!(redis.ask::<i64>(&["TTL", &key]).await > 604_000, "reading a list does not extend its lifetime");
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert!(keys.iter().all(|key| key.starts_with("club:")), "{keys:?}");
}

/// How many scripts Redis has run: at least one for each timeline that was read from it.
async fn scripts_run(redis: &Redis) -> u64 {
    let stats: String = redis.ask(&["INFO", "commandstats"]).await;
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or_default()
}

/// Waits until a process uses its copies, after the clock was advanced: until then it would read Redis, and
/// renew an old copy by that.
async fn coherent(stores: &Stores) {
    eventually("the first level is coherent", async || stores.shards.cache().is_coherent().then_some(()))
        .await;
}

/// Reads a timeline until it comes from the process's own copy.
async fn copied(redis: &Redis, stores: &Stores, reader: Id<Author>) {
    eventually("the timeline is copied", async || {
        let before = scripts_run(redis).await;
        stores.timeline(reader).await;
        (scripts_run(redis).await == before).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_read_their_copies_until_a_timeline_changes() {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let other = stores.reopened().await;
    let worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let mut notes = vec![note(&stores, author).await];
    settled(&stores).await;
    for _ in 0..3 {
        for process in [&stores, &other] {
            copied(&redis, process, reader).await;
            assert_eq!(process.timeline(reader).await, notes);
        }
        notes.insert(0, note(&stores, author).await);
        settled(&stores).await;
        coherent(&other).await;
        shows(&other, reader, &notes, "an item was pushed").await;
        assert_eq!(stores.timeline(reader).await, notes, "the process pushed the item itself");
    }
    copied(&redis, &other, reader).await;
    let gone = notes.remove(1);
    stores.shards.write(gone, move |tx| async move { tx.delete(gone).await }).await.unwrap();
    settled(&stores).await;
    coherent(&other).await;
    eventually("the deleted item leaves the copy", async || {
        let held = other.cached().timeline_ids::<Note>(reader, Keyset::newest(100)).await.unwrap();
        let held: Vec<Id<Note>> = held.items.into_iter().map(|(id, ())| id).collect();
        (held == notes).then_some(())
    })
    .await;
    drop(worker);
    for process in [&stores, &other] {
        copied(&redis, process, reader).await;
    }
    assert!(stores.graph.disconnect::<Reads>(reader, author).await.unwrap());
    assert!(stores.timeline(reader).await.is_empty(), "a process reads a copy older than its own write");
    shows(&other, reader, &[], "the reader left the author").await;
    copied(&redis, &other, reader).await;
    assert!(stores.graph.connect::<Reads>(reader, author).await.unwrap());
    let primary = other.primary().timeline_ids::<Note>(reader, Keyset::newest(100)).await.unwrap();
    assert_eq!(primary.items.len(), notes.len(), "a primary read is from a copy");
}
