//! The cache: one load for all concurrent reads, no outdated values, and errors that change nothing.

use std::time::Duration;

use futures::future::join_all;
use sea_orm::ActiveValue::Set;
use sea_orm::ConnectionTrait;

use crate::cache::{Batch, Region, RegionConfig};
use crate::conformance::{CacheFixture, Note, Stores, cache_fixture, note};
use crate::id::Id;
use crate::testing::eventually;

async fn new_note(stores: &Stores, text: &str) -> Id<Note> {
    let author = stores.author("author").await;
    stores.note(author, text).await
}

/// Waits until a process returns this text.
async fn comes_to(fixture: &CacheFixture, note: Id<Note>, text: &str) {
    eventually(&format!("the text becomes {text}"), async || {
        (fixture.text(note).await.unwrap().as_deref() == Some(text)).then_some(())
    })
    .await;
}

/// Waits until the first level is coherent.
async fn coherent(stores: &Stores) {
    eventually("the first level is coherent", async || stores.shards.cache().is_coherent().then_some(()))
        .await;
}

/// A thousand concurrent reads in two processes cause one load, and later reads cause none.
pub async fn many_who_ask_are_one_load(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let fixture = CacheFixture::of(stores);
    fixture.hold();
    let asking: Vec<_> = (0..1_000)
        .map(|_| {
            let fixture = fixture.clone();
            tokio::spawn(async move { fixture.text(id).await.unwrap() })
        })
        .collect();
    eventually("a load begins", async || (fixture.loads() > 0).then_some(())).await;
    fixture.release();
    for asked in asking {
        assert_eq!(asked.await.unwrap().as_deref(), Some("a"));
    }
    assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("a"));
    assert_eq!(fixture.loads(), 1);
    if stores.redis.is_some() {
        let there = CacheFixture::of(&stores.reopened().await);
        assert_eq!(there.text(id).await.unwrap().as_deref(), Some("a"));
        assert_eq!(there.loads(), 0, "another process did not find the value in Redis");
    }
}

/// Many ids are one load each, whatever other readers request; a repeated id is loaded once.
pub async fn many_ids_are_read_at_once(stores: &Stores) {
    let author = stores.author("author").await;
    let mut ids = Vec::new();
    for n in 0..20 {
        stores.clock.advance(Duration::from_millis(1));
        ids.push(stores.note(author, &n.to_string()).await.raw());
    }
    let fixture = CacheFixture::of(stores);
    fixture.region.get(ids[3]).await.unwrap();
    let nobody = Id::<Note>::from_raw(ids[0] + 1).raw();
    let mut asked = ids.clone();
    asked.extend([nobody, ids[0]]);
    for found in join_all((0..5).map(|_| fixture.region.get_many(&asked))).await {
        let texts: Vec<Option<String>> =
            found.unwrap().into_iter().map(|text| Some((*text?).clone())).collect();
        let expected = (0..20).map(|n| Some(n.to_string())).chain([None, Some("0".to_owned())]);
        assert_eq!(texts, expected.collect::<Vec<_>>());
    }
    assert_eq!(fixture.loads(), 21);
}

/// The absence of a row is cached, too, until the row is inserted.
pub async fn absence_is_remembered_until_it_ends(stores: &Stores) {
    let author = stores.author("author").await;
    let id = stores.shards.generate_id::<Note>(author).unwrap();
    let read = stores.cached();
    for _ in 0..3 {
        assert!(read.find(id).await.unwrap().is_none());
    }
    let row = note::ActiveModel { id: Set(id), author_id: Set(author), text: Set("a".to_owned()) };
    let inserted = stores.shards.write(author, move |tx| async move { tx.insert(row).await });
    assert_eq!(inserted.await.unwrap(), id);
    assert_eq!(read.find(id).await.unwrap().expect("the row exists").peek().text, "a");
    let deleted = stores.shards.write(author, move |tx| async move { tx.delete(id).await });
    assert!(deleted.await.unwrap());
    assert!(read.find(id).await.unwrap().is_none());
}

/// A loader's error reaches all waiting readers, is not cached, and removes nothing.
pub async fn errors_are_not_kept_and_delete_nothing(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let fixture = CacheFixture::of(stores);
    fixture.fail(true);
    for asked in join_all((0..10).map(|_| fixture.text(id))).await {
        assert!(asked.unwrap_err().is_unavailable());
    }
    fixture.fail(false);
    assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("a"));

    // The value is due for a reload, which fails.
    fixture.fail(true);
    stores.clock.advance(cache_fixture::TTL / 2);
    coherent(stores).await;
    let before = fixture.loads();
    eventually("the reload is tried", async || {
        assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("a"));
        (fixture.loads() > before).then_some(())
    })
    .await;
    assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("a"));
    fixture.fail(false);
    fixture.write(id, "b").await.unwrap();
    assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("b"));
}

/// From half its life on, a value is served while one reader reloads it; at its end it is no longer
/// served.
pub async fn what_is_old_is_given_while_one_loads_it_anew(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let fixture = CacheFixture::of(stores);
    fixture.text(id).await.unwrap();
    // Bypasses the cache, which would otherwise drop the value.
    let sql = format!("UPDATE note SET text = 'b' WHERE id = {}", id.raw());
    let changed = stores
        .shards
        .database(id.shard())
        .write(move |transaction| async move { Ok(transaction.execute_unprepared(&sql).await.map(drop)?) });
    changed.await.unwrap();
    assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("a"));
    stores.clock.advance(cache_fixture::TTL / 2);
    coherent(stores).await;
    fixture.hold();
    for asked in join_all((0..100).map(|_| fixture.text(id))).await {
        assert_eq!(asked.unwrap().as_deref(), Some("a"), "a reader waits for the reload");
    }
    eventually("one reader reloads it", async || (fixture.loads() == 2).then_some(())).await;
    fixture.release();
    comes_to(&fixture, id, "b").await;
    assert_eq!(fixture.loads(), 2);

    stores.clock.advance(cache_fixture::TTL);
    coherent(stores).await;
    fixture.hold();
    let asked = tokio::spawn({
        let fixture = fixture.clone();
        async move { fixture.text(id).await.unwrap() }
    });
    eventually("the reader waits for a load", async || (fixture.loads() == 3).then_some(())).await;
    assert!(!asked.is_finished(), "an expired value was served");
    fixture.release();
    assert_eq!(asked.await.unwrap().as_deref(), Some("b"));
}

/// A change is visible at once in the process that makes it, and soon in every other.
pub async fn a_change_is_seen_by_every_process(stores: &Stores) {
    let id = new_note(stores, "0").await;
    let mut processes = vec![CacheFixture::of(stores)];
    if stores.redis.is_some() {
        processes.push(CacheFixture::of(&stores.reopened().await));
        processes.push(CacheFixture::of_version(&stores.reopened().await, 2));
    }
    for round in 1..=20_usize {
        for fixture in &processes {
            comes_to(fixture, id, &(round - 1).to_string()).await;
        }
        let writer = &processes[round % processes.len()];
        writer.write(id, &round.to_string()).await.unwrap();
        assert_eq!(writer.text(id).await.unwrap(), Some(round.to_string()));
    }
    for fixture in &processes {
        comes_to(fixture, id, "20").await;
    }
}

/// A load that read the database before a write can't keep its result, in any process.
pub async fn a_slow_load_can_not_undo_a_write(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let slow = CacheFixture::of(stores);
    let writer = match stores.redis.is_some() {
        true => CacheFixture::of(&stores.reopened().await),
        false => slow.clone(),
    };
    slow.hold();
    let asked = tokio::spawn({
        let slow = slow.clone();
        async move { slow.text(id).await.unwrap() }
    });
    eventually("the database has been read", async || (slow.loads() == 1).then_some(())).await;
    writer.write(id, "b").await.unwrap();
    slow.release();
    assert!(asked.await.unwrap().is_some(), "a read that began before the write may return either value");
    for fixture in [&slow, &writer, &slow] {
        comes_to(fixture, id, "b").await;
    }
    if stores.redis.is_some() {
        assert_eq!(CacheFixture::of(&stores.reopened().await).text(id).await.unwrap().as_deref(), Some("b"));
    }
}

/// A process that dies between its commit and the end of the change leaves a key that is not cached, and
/// never an old value.
pub async fn a_writer_who_dies_leaves_nothing_old(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let (fixture, other) = (CacheFixture::of(stores), stores.reopened().await);
    let other = if stores.redis.is_some() { CacheFixture::of(&other) } else { fixture.clone() };
    assert_eq!(other.text(id).await.unwrap().as_deref(), Some("a"));
    fixture.write_and_die(id, "b").await.unwrap();
    comes_to(&other, id, "b").await;
    comes_to(&fixture, id, "b").await;
    let before = fixture.loads();
    fixture.text(id).await.unwrap();
    assert_eq!(
        fixture.loads(),
        before + 1,
        "the value was cached while the outcome of the change was unknown"
    );
    fixture.write(id, "c").await.unwrap();
    comes_to(&other, id, "c").await;
    // The dead writer's block has expired, and does not remain beside the next writer's.
    stores.clock.advance(Duration::from_secs(31));
    let cache = stores.shards.cache();
    eventually("its invalidation is published", async || (!cache.has_pending_invalidations()).then_some(()))
        .await;
    fixture.write(id, "d").await.unwrap();
    comes_to(&other, id, "d").await;
    let before = (fixture.loads(), other.loads());
    for fixture in [&fixture, &other, &fixture, &other] {
        assert_eq!(fixture.text(id).await.unwrap().as_deref(), Some("d"));
    }
    assert!(fixture.loads() + other.loads() <= before.0 + before.1 + 1, "the value is not cached again");
}

/// Two writers that lock no common row change the same key concurrently: the end of one change does not
/// end the other.
pub async fn one_change_does_not_end_another(stores: &Stores) {
    let id = new_note(stores, "a").await;
    let (fixture, other) = (CacheFixture::of(stores), stores.reopened().await);
    let other = if stores.redis.is_some() { CacheFixture::of(&other) } else { fixture.clone() };
    let meanwhile = async {
        other.write(id, "b").await.unwrap();
        comes_to(&other, id, "b").await;
        comes_to(&fixture, id, "b").await;
    };
    fixture.write_after_and_die(id, "c", meanwhile).await.unwrap();
    comes_to(&other, id, "c").await;
    comes_to(&fixture, id, "c").await;
}

/// A region's memory is bounded, and a value that is too large is returned but not cached.
pub async fn memory_is_bounded_and_large_values_are_not_kept(stores: &Stores) {
    let region = |name: &str, bytes: usize| {
        let ttl = Duration::from_secs(86_400);
        let config = RegionConfig { name: name.to_owned(), version: 1, ttl };
        Region::<String>::new(stores.shards.cache(), config, move |ids| async move {
            let found = ids.iter().map(|id| (*id, "x".repeat(bytes))).collect();
            vec![Batch { asked: ids, found: Ok(found) }]
        })
    };
    let (small, large) = (region("small", 10_000), region("large", 70_000));
    let value = |name: &str| {
        let text = stores.metrics.text().unwrap();
        let line = text
            .lines()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name} is not in {text}"));
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    for id in 0..4_000 {
        assert_eq!(small.get(id).await.unwrap().unwrap().len(), 10_000);
    }
    for _ in 0..3 {
        assert_eq!(large.get(1).await.unwrap().unwrap().len(), 70_000);
    }
    eventually("the region is within its bound", async || {
        // 40 MB were read. moka evicts as it is read, not while threads read their own copies.
        stores.clock.advance(Duration::from_secs(1));
        small.get(4_000).await.unwrap();
        (value("tripod_cache_bytes{region=\"small\"}") <= f64::from(16 << 20)).then_some(())
    })
    .await;
    assert!(value("tripod_cache_bytes{region=\"small\"}") > f64::from(1 << 20), "the region is almost empty");
    assert_eq!(value("tripod_cache_entries{region=\"large\"}"), 0.0);
    assert_eq!(value("tripod_cache_refusals_total{region=\"large\",reason=\"too_large\"}"), 3.0);
    assert_eq!(value("tripod_cache_loads_total{region=\"large\"}"), 3.0);
}
