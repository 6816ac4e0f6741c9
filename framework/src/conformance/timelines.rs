//! Timelines: whatever is kept ready, a reader sees what the shards hold.

use std::time::Duration;

use sea_orm::ActiveValue::Set;

use crate::conformance::{Author, Note, Reads, Stores, note};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::shard::Keyset;

async fn walk(stores: &Stores, reader: Id<Author>) -> Vec<Id<Note>> {
    stores.timeline(reader).await
}

async fn new_note(stores: &Stores, author: Id<Author>) -> Id<Note> {
    stores.clock.advance(Duration::from_millis(1));
    stores.note(author, "a note").await
}

/// The ids in a reader's timeline, deleted items included.
async fn held(stores: &Stores, reader: Id<Author>) -> Vec<Id<Note>> {
    let mut held = Vec::new();
    for read in [stores.cached(), stores.primary(), stores.cached().available()] {
        let ids = read.timeline_ids::<Note>(reader, Keyset::newest(100)).await.unwrap();
        held.push(ids.items.into_iter().map(|(id, ())| id).collect::<Vec<_>>());
    }
    assert!(held.iter().all(|ids| *ids == held[0]), "{held:?}");
    held.swap_remove(0)
}

/// Inserts a row and nothing else, in a transaction that may fail after it.
async fn insert(stores: &Stores, author: Id<Author>, fail: bool) -> Result<Id<Note>> {
    let row = note::ActiveModel { author_id: Set(author), text: Set("x".to_owned()), ..Default::default() };
    let inserted = stores.shards.write(author, move |tx| async move {
        let id = tx.insert(row).await?;
        if fail { Err(Error::invalid("on purpose")) } else { Ok(id) }
    });
    inserted.await
}

async fn delete(stores: &Stores, note: Id<Note>, fail: bool) -> Result<()> {
    let deleted = stores.shards.write(note, move |tx| async move {
        assert!(tx.delete(note).await?);
        if fail { Err(Error::invalid("on purpose")) } else { Ok(()) }
    });
    deleted.await
}

fn newest_first(mut notes: Vec<Id<Note>>) -> Vec<Id<Note>> {
    notes.sort_unstable();
    notes.reverse();
    notes
}

/// Items, including the reader's own, reach each timeline once, whether it is ready or not.
pub async fn an_item_reaches_its_readers_once(stores: &Stores) {
    let _worker = stores.work();
    let (reader, a, b) = (stores.author("reader").await, stores.author("a").await, stores.author("b").await);
    let before = new_note(stores, a).await;
    for author in [a, b] {
        stores.graph.connect::<Reads>(reader, author).await.unwrap();
    }
    assert_eq!(walk(stores, reader).await, [before], "built from the shards");
    let mut expected = vec![before];
    for author in [b, a, reader, b] {
        expected.push(new_note(stores, author).await);
    }
    stores.idle().await;
    let expected = newest_first(expected);
    assert_eq!(walk(stores, reader).await, expected, "pushed");
    stores.timelines.rebuild(reader).await.unwrap();
    assert_eq!(walk(stores, reader).await, expected, "the same after a rebuild");
    assert_eq!(walk(&stores.reopened().await, reader).await, expected, "the same in another process");
}

/// An item inserted between an edge's two ends appears once the second end is written.
pub async fn a_late_edge_brings_in_what_it_missed(stores: &Stores) {
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    let earlier = new_note(stores, author).await;
    // The process dies before it writes the inverse edge; then the reader reads, and the author posts
    // again.
    stores.graph.change_forward_only::<Reads>(reader, author, true).await.unwrap().expect("a change");
    assert_eq!(walk(stores, reader).await, [earlier]);
    let _worker = stores.work();
    let missed = new_note(stores, author).await;
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert_eq!(walk(stores, reader).await, [missed, earlier]);
}

/// A process that dies between removing an edge and dropping its items leaves no trace.
pub async fn a_removed_edge_takes_its_items_out_late(stores: &Stores) {
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let item = new_note(stores, author).await;
    assert_eq!(walk(stores, reader).await, [item], "the timeline is stored from now on");
    stores.graph.change_forward_only::<Reads>(reader, author, false).await.unwrap().expect("a change");
    let _worker = stores.work();
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert!(walk(stores, reader).await.is_empty());
}

/// Authors see their new items in their own timelines at once, before any job has run.
pub async fn an_author_sees_their_own_item_at_once(stores: &Stores) {
    let author = stores.author("author").await;
    assert!(walk(stores, author).await.is_empty());
    let made = new_note(stores, author).await;
    assert_eq!(walk(stores, author).await, [made]);
    assert_eq!(held(stores, author).await, [made]);
    delete(stores, made, false).await.unwrap();
    assert!(held(stores, author).await.is_empty(), "a deleted item is in its author's timeline");
}

/// A deleted row is in no timeline any more, once the jobs are done.
pub async fn a_deleted_item_leaves_the_timelines(stores: &Stores) {
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    for owner in [reader, author] {
        assert!(held(stores, owner).await.is_empty(), "the timeline is stored from now on");
    }
    // Only the insert publishes it.
    let deleted = insert(stores, author, false).await.unwrap();
    let kept = new_note(stores, author).await;
    stores.idle().await;
    for owner in [reader, author] {
        assert_eq!(held(stores, owner).await, [kept, deleted]);
    }
    delete(stores, deleted, true).await.unwrap_err();
    stores.idle().await;
    for owner in [reader, author] {
        assert_eq!(held(stores, owner).await, [kept, deleted], "a rolled-back deletion removed an item");
    }
    delete(stores, deleted, false).await.unwrap();
    assert_eq!(walk(stores, reader).await, [kept], "a deleted item is still shown");
    stores.idle().await;
    for process in [stores, &stores.reopened().await] {
        for owner in [reader, author] {
            assert_eq!(held(process, owner).await, [kept]);
        }
    }
}

/// A row whose transaction is rolled back appears nowhere.
pub async fn what_is_undone_is_not_published(stores: &Stores) {
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    for owner in [reader, author] {
        assert!(held(stores, owner).await.is_empty(), "the timeline is stored from now on");
    }
    insert(stores, author, true).await.unwrap_err();
    let made = new_note(stores, author).await;
    stores.idle().await;
    for owner in [reader, author] {
        assert_eq!(held(stores, owner).await, [made]);
    }
}

/// Below the items that are kept ready, the timeline continues from the shards without a gap.
pub async fn a_timeline_goes_on_below_what_is_kept(stores: &Stores) {
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let mut expected = Vec::new();
    for n in 0..35 {
        expected.push(new_note(stores, author).await);
        if n == 17 {
            stores.idle().await;
            assert_eq!(walk(stores, reader).await, newest_first(expected.clone()));
        }
    }
    stores.idle().await;
    assert_eq!(walk(stores, reader).await, newest_first(expected));
}

/// A new edge brings earlier items in; a removed one takes them out.
pub async fn edges_bring_items_in_and_take_them_out(stores: &Stores) {
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    let earlier = [new_note(stores, author).await, new_note(stores, author).await];
    stores.idle().await;
    assert!(walk(stores, reader).await.is_empty());
    assert!(stores.graph.connect::<Reads>(reader, author).await.unwrap());
    assert_eq!(walk(stores, reader).await, newest_first(earlier.to_vec()));
    assert!(stores.graph.disconnect::<Reads>(reader, author).await.unwrap());
    assert!(walk(stores, reader).await.is_empty());
}

/// The items of an author with too many readers are fanned out on read, and no reader misses or
/// duplicates one.
pub async fn a_large_audience_is_pulled(stores: &Stores) {
    let _worker = stores.work();
    let author = stores.author("famous").await;
    let mut readers = Vec::new();
    for n in 0..3 {
        let reader = stores.author(&format!("reader-{n}")).await;
        stores.graph.connect::<Reads>(reader, author).await.unwrap();
        readers.push(reader);
    }
    let mut expected = vec![new_note(stores, author).await];
    stores.idle().await;
    assert_eq!(walk(stores, readers[0]).await, expected);
    // The fourth reader exceeds the limit for fan-out on write.
    let late = stores.author("late").await;
    stores.graph.connect::<Reads>(late, author).await.unwrap();
    readers.push(late);
    for _ in 0..5 {
        expected.push(new_note(stores, author).await);
    }
    stores.idle().await;
    let expected = newest_first(expected);
    for stores in [stores, &stores.reopened().await] {
        for reader in &readers {
            assert_eq!(walk(stores, *reader).await, expected);
        }
        assert_eq!(walk(stores, author).await, expected, "authors do not see their own items");
    }
}
