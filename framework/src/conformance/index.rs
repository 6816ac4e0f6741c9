//! Indexes: entries and counts match the rows in the end, whatever happens in between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use sea_orm::ConnectionTrait;

use crate::conformance::{Author, Note, NoteByWord, Stores, on_two_databases};
use crate::db::statement;
use crate::id::Id;
use crate::index::{IndexKey, UpdateIndex};
use crate::queue::Job;
use crate::shard::Keyset;
use crate::testing::eventually;

/// More than any list holds.
const ALL: u64 = 1_000;

async fn found(stores: &Stores, word: &str) -> Vec<Id<Note>> {
    let rows = stores.primary().indexed::<NoteByWord>(word, Keyset::newest(ALL)).await.expect("notes");
    rows.items.iter().map(|(id, _)| *id).collect()
}

async fn counts(stores: &Stores, words: &[&str]) -> BTreeMap<String, u64> {
    stores.primary().index_counts::<NoteByWord>(words).await.expect("counts").into_iter().collect()
}

async fn rewrite(stores: &Stores, note: Id<Note>, text: &str) {
    let text = text.to_owned();
    let write = stores
        .shards
        .write(note, move |tx| async move { tx.update(note, |note| note.text = text).await.map(drop) });
    write.await.expect("a changed note");
}

async fn delete(stores: &Stores, note: Id<Note>) {
    stores.shards.write(note, move |tx| async move { tx.delete(note).await }).await.expect("a deleted note");
}

/// All entries and counts, as the tables have them.
async fn stored(stores: &Stores) -> (BTreeMap<(String, i64), u64>, BTreeMap<String, i64>) {
    let (mut entries, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for database in stores.shards.databases() {
        let reader = database.reader();
        let sql = "SELECT key, row_id FROM tripod_index WHERE name = 'note_by_word'";
        for row in reader.query_all_raw(statement(reader, sql, [])).await.expect("entries") {
            let entry = (row.try_get_by_index(0).expect("a key"), row.try_get_by_index(1).expect("a row"));
            *entries.entry(entry).or_default() += 1;
        }
        let sql = "SELECT key, count FROM tripod_index_count WHERE name = 'note_by_word'";
        for row in reader.query_all_raw(statement(reader, sql, [])).await.expect("counts") {
            let key: String = row.try_get_by_index(0).expect("a key");
            counts.insert(key, row.try_get_by_index(1).expect("a count"));
        }
    }
    (entries, counts)
}

/// Checks that entries and counts are those of the rows.
async fn is_exact(stores: &Stores) {
    let notes = stores.primary().list_all::<Note>(Keyset::newest(100_000)).await.expect("notes").into_items();
    let (mut entries, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for note in &notes {
        let words: std::collections::BTreeSet<&str> = note.peek().text.split_whitespace().collect();
        for word in words {
            entries.insert((word.to_owned(), note.peek().id.raw()), 1);
            *counts.entry(word.to_owned()).or_default() += 1;
        }
    }
    let stored = stored(stores).await;
    assert!(stored.0 == entries, "entries: {:?}, rows: {entries:?}", stored.0);
    assert!(stored.1 == counts, "counts: {:?}, rows: {counts:?}", stored.1);
}

/// Waits until all jobs have run. Time passes, so that those that have failed are tried again.
async fn settle(stores: &Stores) {
    eventually("the jobs of the index run", async || {
        stores.clock.advance(Duration::from_millis(500));
        stores.queue.waiting().await.expect("the queue answers").is_empty().then_some(())
    })
    .await;
    let left = stores.queue.list(10).await.expect("the queue answers");
    assert!(left.is_empty(), "dead: {left:?}");
}

/// Deletes both tables, as an operator may.
async fn drop_index(stores: &Stores) {
    for database in stores.shards.databases() {
        let delete = database.write(|transaction| async move {
            for table in ["tripod_index", "tripod_index_count"] {
                transaction.execute_unprepared(&format!("DELETE FROM {table}")).await?;
            }
            Ok(())
        });
        delete.await.expect("an empty index");
    }
}

/// A row is found by each of its keys, from every database, newest first, in pages; changes and deletion
/// follow, and so do counts.
pub async fn rows_are_found_by_each_of_their_keys(stores: &Stores) {
    let _working = stores.work();
    let (a, b) = on_two_databases(stores).await;
    let mut notes = Vec::new();
    for n in 0..7 {
        stores.clock.advance(Duration::from_millis(1));
        notes.push(stores.note(if n % 2 == 0 { a } else { b }, "green tea tea").await);
    }
    settle(stores).await;
    notes.reverse();
    assert_eq!(found(stores, "tea").await, notes);
    assert_eq!(found(stores, "green").await, notes);
    assert!(found(stores, "te").await.is_empty() && found(stores, "").await.is_empty());
    let (mut keyset, mut walked) = (Keyset::newest(3), Vec::new());
    loop {
        let part = stores.cached().indexed::<NoteByWord>("tea", keyset).await.expect("notes");
        walked.extend(part.items.iter().map(|(id, _)| *id));
        keyset.after = part.next;
        if keyset.after.is_none() {
            break;
        }
    }
    assert_eq!(walked, notes);
    assert_eq!(
        counts(stores, &["tea", "green", "black"]).await,
        [("green".into(), 7), ("tea".into(), 7)].into()
    );

    rewrite(stores, notes[0], "black tea").await;
    delete(stores, notes[1]).await;
    assert_eq!(
        found(stores, "green").await,
        notes[2..],
        "a row that does not name the key any more is left out"
    );
    settle(stores).await;
    assert_eq!(found(stores, "black").await, notes[..1]);
    assert_eq!(
        counts(stores, &["tea", "green", "black"]).await,
        [("black".into(), 1), ("green".into(), 5), ("tea".into(), 6)].into()
    );
    is_exact(stores).await;
}

/// Keys that begin alike are found together, the most frequent first; one letter finds only itself.
pub async fn keys_are_found_by_their_beginning(stores: &Stores) {
    let _working = stores.work();
    let author = stores.author("kevin").await;
    for text in ["tea teapot", "tea team", "tea", "tundra", "t", "日本 日", "te", "tea\u{10FFFE}"] {
        stores.note(author, text).await;
    }
    settle(stores).await;
    let keys = async |prefix: &str, limit: u64| {
        let keys = stores.primary().index_keys::<NoteByWord>(prefix, limit).await.expect("keys");
        keys.into_iter().map(|IndexKey { key, count }| (key, count)).collect::<Vec<_>>()
    };
    let key = |key: &str, count: u64| (key.to_owned(), count);
    assert_eq!(
        keys("te", 10).await,
        [key("tea", 3), key("te", 1), key("team", 1), key("teapot", 1), key("tea\u{10FFFE}", 1)]
    );
    assert_eq!(keys("te", 2).await, [key("tea", 3), key("te", 1)]);
    assert_eq!(keys("teap", 10).await, [key("teapot", 1)]);
    assert_eq!(keys("日", 10).await, [key("日", 1), key("日本", 1)]);
    assert_eq!(keys("t", 10).await, [key("t", 1)]);
    assert!(
        keys("", 10).await.is_empty() && keys("%", 10).await.is_empty() && keys("T", 10).await.is_empty()
    );
}

/// A row without keys, and a change of something else, enqueue nothing; an expression's change is observed.
pub async fn only_keys_that_change_enqueue_a_job(stores: &Stores) {
    let author = stores.author("kevin").await;
    let jobs = async || {
        let waiting = stores.queue.waiting().await.expect("the queue answers");
        waiting.iter().find(|(name, _)| *name == UpdateIndex::NAME).map_or(0, |(_, count)| *count)
    };
    let note = stores.note(author, "  ").await;
    assert_eq!(jobs().await, 0, "a row without keys");
    rewrite(stores, note, "one two").await;
    assert_eq!(jobs().await, 1);
    rewrite(stores, note, "two one one").await;
    assert_eq!(jobs().await, 1, "the same keys");
    let write = stores.shards.write(note, move |tx| async move {
        use crate::conformance::note::Column;
        use sea_orm::sea_query::Expr;
        tx.update_where(note, |notes| notes.col_expr(Column::Text, Expr::cust("text || ' three'"))).await
    });
    assert!(write.await.expect("a changed note"));
    assert_eq!(jobs().await, 2, "an expression");
    let _working = stores.work();
    settle(stores).await;
    is_exact(stores).await;
}

/// Jobs that run late, at the same time and again leave what the row names.
pub async fn late_and_concurrent_jobs_end_with_the_row(stores: &Stores) {
    let author = stores.author("kevin").await;
    let notes = join_all((0..4).map(|n| stores.note(author, if n % 2 == 0 { "even" } else { "odd" }))).await;
    // All jobs wait until the last change.
    for round in 0..6 {
        let texts = ["even odd", "odd", "none", "even", "", "even last"];
        join_all(notes.iter().map(|note| rewrite(stores, *note, texts[round]))).await;
    }
    delete(stores, notes[3]).await;
    let _working = stores.work();
    settle(stores).await;
    is_exact(stores).await;
    assert_eq!(
        counts(stores, &["even", "odd", "none", "last"]).await,
        [("even".into(), 3), ("last".into(), 3)].into()
    );
}

/// Rows change all the time while their jobs run.
pub async fn a_row_that_changes_while_a_job_writes_ends_as_it_is(stores: &Stores) {
    let _working = stores.work();
    let (a, b) = on_two_databases(stores).await;
    let notes = [stores.note(a, "start").await, stores.note(b, "start").await];
    let words = ["alpha", "beta", "gamma", "delta"];
    let write = async |note: Id<Note>, seed: usize| {
        for n in 0..40 {
            stores.clock.advance(Duration::from_millis(1));
            let text = format!("{} {}", words[(n + seed) % 4], words[(n * n + seed) % 4]);
            rewrite(stores, note, &text).await;
        }
    };
    // Two writers of each row, whose jobs are in each other's way.
    futures::join!(write(notes[0], 0), write(notes[0], 1), write(notes[1], 2), write(notes[1], 3));
    settle(stores).await;
    is_exact(stores).await;
}

/// Workers vanish in the middle of their jobs, again and again; others take over.
pub async fn an_index_survives_killed_workers(stores: &Stores) {
    let author = stores.author("kevin").await;
    let mut notes = Vec::new();
    for n in 0..40 {
        notes.push(stores.note(author, &format!("all n{} m{}", n % 7, n % 3)).await);
    }
    for round in 0..3 {
        let process = stores.reopened().await;
        let working = process.work();
        for note in notes.iter().skip(round).step_by(3) {
            rewrite(stores, *note, &format!("all again{round}")).await;
        }
        drop(working);
        // Its leases expire.
        stores.clock.advance(Duration::from_secs(60));
    }
    let _working = stores.work();
    settle(stores).await;
    is_exact(stores).await;
}

async fn write_until(stores: &Stores, author: Id<Author>, stop: Arc<AtomicBool>) {
    let (mut n, mut own) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) || n < 20 {
        stores.clock.advance(Duration::from_millis(1));
        own.push(stores.note(author, &format!("common w{} x{n}", n % 5)).await);
        if n % 3 == 0 {
            rewrite(stores, own[n / 2], &format!("common changed{n}")).await;
        }
        if n % 4 == 3 {
            delete(stores, own.swap_remove(n / 4)).await;
        }
        n += 1;
    }
}

/// The tables are emptied and the index is rebuilt while rows are written: afterwards it is exact.
pub async fn an_index_is_dropped_and_rebuilt_under_writes(stores: &Stores) {
    let _working = stores.work();
    let (a, b) = on_two_databases(stores).await;
    for n in 0..600 {
        stores.clock.advance(Duration::from_millis(1));
        stores.note(if n % 2 == 0 { a } else { b }, &format!("common old{}", n % 9)).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let rebuild = async {
        for _ in 0..2 {
            drop_index(stores).await;
            stores.indexes.rebuild("note_by_word", |_| {}).await.expect("a rebuilt index");
        }
        stop.store(true, Ordering::Relaxed);
    };
    futures::join!(rebuild, write_until(stores, a, stop.clone()), write_until(stores, b, stop.clone()));
    settle(stores).await;
    is_exact(stores).await;
}

/// A rebuild that is killed after a page does not begin anew.
pub async fn a_rebuild_that_is_killed_continues(stores: &Stores) {
    let (a, b) = on_two_databases(stores).await;
    for n in 0..1_100 {
        stores.clock.advance(Duration::from_millis(1));
        stores.note(if n % 2 == 0 { a } else { b }, "word").await;
    }
    // Nobody works: the index is empty.
    let pages = std::sync::atomic::AtomicU32::new(0);
    let killed = std::panic::AssertUnwindSafe(stores.indexes.rebuild("note_by_word", |_| {
        assert!(pages.fetch_add(1, Ordering::Relaxed) < 3, "killed");
    }));
    futures::FutureExt::catch_unwind(killed).await.expect_err("a killed rebuild");
    let done = std::sync::atomic::AtomicU64::new(0);
    let process = stores.reopened().await;
    process
        .indexes
        .rebuild("note_by_word", |now| done.store(now.done, Ordering::Relaxed))
        .await
        .expect("a rebuild");
    let again = done.load(Ordering::Relaxed);
    // From the beginning it would be 550 entries and 1,100 rows.
    assert!((550..=1_100).contains(&again), "{again} entries and rows were checked again");
    is_exact(stores).await;
    let mut seen = Vec::new();
    let all = std::sync::Mutex::new(&mut seen);
    process
        .indexes
        .rebuild("note_by_word", |now| all.lock().expect("a list").push(now.done))
        .await
        .expect("a rebuild");
    assert_eq!(seen.last(), Some(&2_200), "the next begins anew: 1,100 entries and as many rows");
}

/// Entries of rows that are gone or do not name the key, wrong counts, and missing counts are put right;
/// what is right is not missing meanwhile.
pub async fn a_rebuild_removes_what_no_row_names(stores: &Stores) {
    let _working = stores.work();
    let author = stores.author("kevin").await;
    let note = stores.note(author, "right word").await;
    settle(stores).await;
    let place = |key: &str| crate::id::Shard::of_text(&key[..2]);
    let wrong = [("wrong", note.raw()), ("word", 7 << 10), ("right", note.raw() + 1)];
    for (key, row) in wrong {
        let (shard, key) = (place(key), key.to_owned());
        let add = stores.shards.write(shard, move |tx| async move {
            let sql =
                "INSERT INTO tripod_index (shard, name, key, row_id) VALUES ($1, 'note_by_word', $2, $3)";
            let number = shard.number() as i16;
            tx.execute(sql, [number.into(), key.as_str().into(), row.into()]).await?;
            let sql =
                "INSERT INTO tripod_index_count (shard, name, key, count) VALUES ($1, 'note_by_word', $2, 9)";
            tx.execute(sql, [number.into(), format!("{key}er").into()]).await?;
            let sql = "DELETE FROM tripod_index_count WHERE shard = $1 AND key = $2";
            tx.execute(sql, [number.into(), key.into()]).await.map(drop)
        });
        add.await.expect("a wrong entry");
    }
    let read = stores.primary();
    let missing = std::sync::atomic::AtomicU32::new(0);
    let check = async {
        for _ in 0..50 {
            if read.indexed_ids::<NoteByWord>("word", Keyset::newest(9)).await.expect("ids").items.is_empty()
            {
                missing.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    let (rebuilt, ()) = futures::join!(stores.indexes.rebuild("note_by_word", |_| {}), check);
    rebuilt.expect("a rebuilt index");
    assert_eq!(missing.into_inner(), 0, "a right entry was missing while the index was rebuilt");
    is_exact(stores).await;
}
