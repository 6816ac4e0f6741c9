//! The cache: one load however many ask, nothing that is no longer so, and errors that change nothing.

use std::time::Duration;

use futures::future::join_all;

use crate::cache::{Batch, Policy, Region};
use crate::id::Id;
use crate::testing::{Note, Shelf, Stores, eventually, shelf};

async fn note(stores: &Stores, text: &str) -> Id<Note> {
    let author = stores.author("author").await;
    stores.note(author, text).await
}

/// Waits until a process gives this text.
async fn comes_to(shelf: &Shelf, note: Id<Note>, text: &str) {
    eventually(&format!("the text becomes {text}"), async || {
        (shelf.text(note).await.unwrap().as_deref() == Some(text)).then_some(())
    })
    .await;
}

/// Waits until what is heard is believed.
async fn believed(stores: &Stores) {
    eventually("the first level is believed", async || stores.shards.cache().is_believed().then_some(()))
        .await;
}

/// A thousand who ask at once, in two processes, are one load; and so are those who ask after.
pub async fn many_who_ask_are_one_load(stores: &Stores) {
    let id = note(stores, "a").await;
    let shelf = Shelf::of(stores);
    shelf.hold();
    let asking: Vec<_> = (0..1_000)
        .map(|_| {
            let shelf = shelf.clone();
            tokio::spawn(async move { shelf.text(id).await.unwrap() })
        })
        .collect();
    eventually("somebody loads", async || (shelf.loads() > 0).then_some(())).await;
    shelf.release();
    for asked in asking {
        assert_eq!(asked.await.unwrap().as_deref(), Some("a"));
    }
    assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("a"));
    assert_eq!(shelf.loads(), 1);
    if stores.redis.is_some() {
        let there = Shelf::of(&stores.reopened().await);
        assert_eq!(there.text(id).await.unwrap().as_deref(), Some("a"));
        assert_eq!(there.loads(), 0, "another process finds it in Redis");
    }
}

/// Many ids are one load each, whoever else asks for some of them; twice the same is no more.
pub async fn many_ids_are_read_at_once(stores: &Stores) {
    let author = stores.author("author").await;
    let mut ids = Vec::new();
    for n in 0..20 {
        stores.clock.advance(Duration::from_millis(1));
        ids.push(stores.note(author, &n.to_string()).await.raw());
    }
    let shelf = Shelf::of(stores);
    shelf.region.get(ids[3]).await.unwrap();
    let nobody = Id::<Note>::from_raw(ids[0] + 1).raw();
    let mut asked = ids.clone();
    asked.extend([nobody, ids[0]]);
    for found in join_all((0..5).map(|_| shelf.region.get_many(&asked))).await {
        let texts: Vec<Option<String>> =
            found.unwrap().into_iter().map(|text| Some((*text?).clone())).collect();
        let expected = (0..20).map(|n| Some(n.to_string())).chain([None, Some("0".to_owned())]);
        assert_eq!(texts, expected.collect::<Vec<_>>());
    }
    assert_eq!(shelf.loads(), 21);
}

/// That there is nothing is remembered, too, until there is something.
pub async fn absence_is_remembered_until_it_ends(stores: &Stores) {
    let author = stores.author("author").await;
    let id = stores.shards.mint::<Note>(author.shard()).unwrap();
    for _ in 0..3 {
        assert!(stores.shards.get(id).await.unwrap().is_none());
    }
    let inserted = stores.shards.write::<_, crate::Error, _>(author.shard(), move |tx| {
        Box::pin(async move {
            let row = |id| crate::testing::notes::note::ActiveModel {
                id: sea_orm::Set(id),
                author_id: sea_orm::Set(author),
                text: sea_orm::Set("a".to_owned()),
            };
            tx.claim(Some(id), row).await.map(drop)
        })
    });
    inserted.await.unwrap();
    assert_eq!(stores.shards.get(id).await.unwrap().expect("it is there").peek().text, "a");
    let deleted = stores
        .shards
        .write::<_, crate::Error, _>(author.shard(), move |tx| Box::pin(async move { tx.delete(id).await }));
    assert!(deleted.await.unwrap());
    assert!(stores.shards.get(id).await.unwrap().is_none());
}

/// A loader's error reaches all who wait, is not kept, and takes nothing away.
pub async fn errors_are_not_kept_and_delete_nothing(stores: &Stores) {
    let id = note(stores, "a").await;
    let shelf = Shelf::of(stores);
    shelf.fail(true);
    for asked in join_all((0..10).map(|_| shelf.text(id))).await {
        assert!(asked.unwrap_err().is_unavailable());
    }
    shelf.fail(false);
    assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("a"));

    // It is to be loaded anew, and can't be.
    shelf.fail(true);
    stores.clock.advance(shelf::TTL / 2);
    believed(stores).await;
    let before = shelf.loads();
    eventually("it is tried", async || {
        assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("a"));
        (shelf.loads() > before).then_some(())
    })
    .await;
    assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("a"));
    shelf.fail(false);
    shelf.write(id, "b").await.unwrap();
    assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("b"));
}

/// From half its life on a value is given while one reader loads it anew, and at its end no more.
pub async fn what_is_old_is_given_while_one_loads_it_anew(stores: &Stores) {
    let id = note(stores, "a").await;
    let shelf = Shelf::of(stores);
    shelf.text(id).await.unwrap();
    // Behind the cache's back, or it would be gone.
    let sql = format!("UPDATE note SET text = 'b' WHERE id = {}", id.raw());
    let changed = stores.shards.database(id.shard()).write::<_, crate::Error, _>(move |tx| {
        Box::pin(async move {
            use sea_orm::ConnectionTrait;
            tx.execute_unprepared(&sql).await?;
            Ok(())
        })
    });
    changed.await.unwrap();
    assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("a"));
    stores.clock.advance(shelf::TTL / 2);
    believed(stores).await;
    shelf.hold();
    for asked in join_all((0..100).map(|_| shelf.text(id))).await {
        assert_eq!(asked.unwrap().as_deref(), Some("a"), "nobody waits");
    }
    eventually("one loads it", async || (shelf.loads() == 2).then_some(())).await;
    shelf.release();
    comes_to(&shelf, id, "b").await;
    assert_eq!(shelf.loads(), 2);

    stores.clock.advance(shelf::TTL);
    believed(stores).await;
    shelf.hold();
    let asked = tokio::spawn({
        let shelf = shelf.clone();
        async move { shelf.text(id).await.unwrap() }
    });
    eventually("it is waited for", async || (shelf.loads() == 3).then_some(())).await;
    assert!(!asked.is_finished(), "what is too old is not given");
    shelf.release();
    assert_eq!(asked.await.unwrap().as_deref(), Some("b"));
}

/// What changes is seen at once where it is changed, and soon by every other process.
pub async fn a_change_is_seen_by_every_process(stores: &Stores) {
    let id = note(stores, "0").await;
    let mut processes = vec![Shelf::of(stores)];
    if stores.redis.is_some() {
        processes.push(Shelf::of(&stores.reopened().await));
        processes.push(Shelf::of_version(&stores.reopened().await, 2));
    }
    for round in 1..=20_usize {
        for shelf in &processes {
            comes_to(shelf, id, &(round - 1).to_string()).await;
        }
        let writer = &processes[round % processes.len()];
        writer.write(id, &round.to_string()).await.unwrap();
        assert_eq!(writer.text(id).await.unwrap(), Some(round.to_string()));
    }
    for shelf in &processes {
        comes_to(shelf, id, "20").await;
    }
}

/// A load that read the database before a write can't keep what it read, in any process.
pub async fn a_slow_load_can_not_undo_a_write(stores: &Stores) {
    let id = note(stores, "a").await;
    let slow = Shelf::of(stores);
    let writer = match stores.redis.is_some() {
        true => Shelf::of(&stores.reopened().await),
        false => slow.clone(),
    };
    slow.hold();
    let asked = tokio::spawn({
        let slow = slow.clone();
        async move { slow.text(id).await.unwrap() }
    });
    eventually("it has been read", async || (slow.loads() == 1).then_some(())).await;
    writer.write(id, "b").await.unwrap();
    slow.release();
    assert!(asked.await.unwrap().is_some(), "whoever asked before is told either");
    for shelf in [&slow, &writer, &slow] {
        comes_to(shelf, id, "b").await;
    }
    if stores.redis.is_some() {
        assert_eq!(Shelf::of(&stores.reopened().await).text(id).await.unwrap().as_deref(), Some("b"));
    }
}

/// A process that dies between its commit and the end of the change leaves a key that nobody keeps,
/// and never an old value.
pub async fn a_writer_who_dies_leaves_nothing_old(stores: &Stores) {
    let id = note(stores, "a").await;
    let (shelf, other) = (Shelf::of(stores), stores.reopened().await);
    let other = if stores.redis.is_some() { Shelf::of(&other) } else { shelf.clone() };
    assert_eq!(other.text(id).await.unwrap().as_deref(), Some("a"));
    shelf.write_and_die(id, "b").await.unwrap();
    comes_to(&other, id, "b").await;
    comes_to(&shelf, id, "b").await;
    let before = shelf.loads();
    shelf.text(id).await.unwrap();
    assert_eq!(shelf.loads(), before + 1, "while nobody knows what will come of it, nothing is kept");
    shelf.write(id, "c").await.unwrap();
    comes_to(&other, id, "c").await;
    // The dead writer's bar has ended, and does not stand beside the next one's.
    stores.clock.advance(Duration::from_secs(31));
    let cache = stores.shards.cache();
    eventually("all know that it has", async || cache.is_told().then_some(())).await;
    shelf.write(id, "d").await.unwrap();
    comes_to(&other, id, "d").await;
    let before = (shelf.loads(), other.loads());
    for shelf in [&shelf, &other, &shelf, &other] {
        assert_eq!(shelf.text(id).await.unwrap().as_deref(), Some("d"));
    }
    assert!(shelf.loads() + other.loads() <= before.0 + before.1 + 1, "it is kept again");
}

/// Two change the same key at once, as those may who lock no row in common: the end of one change is not
/// the other's.
pub async fn one_change_does_not_end_another(stores: &Stores) {
    let id = note(stores, "a").await;
    let (shelf, other) = (Shelf::of(stores), stores.reopened().await);
    let other = if stores.redis.is_some() { Shelf::of(&other) } else { shelf.clone() };
    let meanwhile = async {
        other.write(id, "b").await.unwrap();
        comes_to(&other, id, "b").await;
        comes_to(&shelf, id, "b").await;
    };
    shelf.write_after_and_die(id, "c", meanwhile).await.unwrap();
    comes_to(&other, id, "c").await;
    comes_to(&shelf, id, "c").await;
}

/// What a region holds is bounded, and a value that is too large is given and not kept.
pub async fn memory_is_bounded_and_large_values_are_not_kept(stores: &Stores) {
    let region = |name: &str, bytes: usize| {
        let policy = Policy { name: name.to_owned(), version: 1, ttl: shelf::TTL };
        Region::<String>::new(stores.shards.cache(), policy, move |ids| async move {
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
    eventually("no more is held than may be", async || {
        // 40 MB were read.
        small.get(4_000).await.unwrap();
        (value("tripod_cache_bytes{region=\"small\"}") <= f64::from(16 << 20)).then_some(())
    })
    .await;
    assert!(value("tripod_cache_bytes{region=\"small\"}") > f64::from(1 << 20), "it holds next to nothing");
    assert_eq!(value("tripod_cache_entries{region=\"large\"}"), 0.0);
    assert_eq!(value("tripod_cache_refusals_total{region=\"large\",reason=\"too_large\"}"), 3.0);
    assert_eq!(value("tripod_cache_loads_total{region=\"large\"}"), 3.0);
}
