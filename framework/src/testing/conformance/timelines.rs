//! Timelines: whatever is kept ready, a reader sees what the shards say.

use std::time::Duration;

use crate::id::Id;
use crate::testing::{Author, Note, Reads, Stores};

async fn walk(stores: &Stores, reader: Id<Author>) -> Vec<Id<Note>> {
    stores.timeline(reader).await
}

async fn note(stores: &Stores, author: Id<Author>) -> Id<Note> {
    stores.clock.advance(Duration::from_millis(1));
    stores.note(author, "a note").await
}

fn newest_first(mut notes: Vec<Id<Note>>) -> Vec<Id<Note>> {
    notes.sort_unstable();
    notes.reverse();
    notes
}

/// Items reach timelines that are ready and those that are not, each once, with one's own.
pub async fn an_item_reaches_its_readers_once(stores: &Stores) {
    let _worker = stores.work();
    let (reader, a, b) = (stores.author("reader").await, stores.author("a").await, stores.author("b").await);
    let before = note(stores, a).await;
    for author in [a, b] {
        stores.graph.connect::<Reads>(reader, author).await.unwrap();
    }
    assert_eq!(walk(stores, reader).await, [before], "built from the shards");
    let mut expected = vec![before];
    for author in [b, a, reader, b] {
        expected.push(note(stores, author).await);
    }
    stores.idle().await;
    let expected = newest_first(expected);
    assert_eq!(walk(stores, reader).await, expected, "pushed");
    stores.timelines.rebuild(reader).await.unwrap();
    assert_eq!(walk(stores, reader).await, expected, "and the same when built anew");
    assert_eq!(walk(&stores.reopened().await, reader).await, expected, "in another process, too");
}

/// An item that came between an edge's two ends is there once the second end is.
pub async fn a_late_edge_brings_in_what_it_missed(stores: &Stores) {
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    let earlier = note(stores, author).await;
    // The process died before it wrote the far end; the reader reads, and the author goes on.
    stores.graph.decide_only::<Reads>(reader, author, true).await.unwrap().expect("a change");
    assert_eq!(walk(stores, reader).await, [earlier]);
    let _worker = stores.work();
    let missed = note(stores, author).await;
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert_eq!(walk(stores, reader).await, [missed, earlier]);
}

/// A process that dies between an edge's end and the dropping of what it took out leaves no trace.
pub async fn a_removed_edge_takes_its_items_out_late(stores: &Stores) {
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let item = note(stores, author).await;
    assert_eq!(walk(stores, reader).await, [item], "kept ready from now on");
    stores.graph.decide_only::<Reads>(reader, author, false).await.unwrap().expect("a change");
    let _worker = stores.work();
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert!(walk(stores, reader).await.is_empty());
}

/// What somebody made is in their own timeline at once, before any job has run.
pub async fn an_author_sees_their_own_item_at_once(stores: &Stores) {
    let author = stores.author("author").await;
    assert!(walk(stores, author).await.is_empty());
    let made = note(stores, author).await;
    assert_eq!(walk(stores, author).await, [made]);
}

/// Past what is kept ready, the shards go on without a gap.
pub async fn a_timeline_goes_on_below_what_is_kept(stores: &Stores) {
    let _worker = stores.work();
    let (reader, author) = (stores.author("reader").await, stores.author("author").await);
    stores.graph.connect::<Reads>(reader, author).await.unwrap();
    let mut expected = Vec::new();
    for n in 0..35 {
        expected.push(note(stores, author).await);
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
    let earlier = [note(stores, author).await, note(stores, author).await];
    stores.idle().await;
    assert!(walk(stores, reader).await.is_empty());
    assert!(stores.graph.connect::<Reads>(reader, author).await.unwrap());
    assert_eq!(walk(stores, reader).await, newest_first(earlier.to_vec()));
    assert!(stores.graph.disconnect::<Reads>(reader, author).await.unwrap());
    assert!(walk(stores, reader).await.is_empty());
}

/// An author with more readers than are pushed to is pulled, and nobody misses or doubles an item.
pub async fn a_large_audience_is_pulled(stores: &Stores) {
    let _worker = stores.work();
    let author = stores.author("famous").await;
    let mut readers = Vec::new();
    for n in 0..3 {
        let reader = stores.author(&format!("reader-{n}")).await;
        stores.graph.connect::<Reads>(reader, author).await.unwrap();
        readers.push(reader);
    }
    let mut expected = vec![note(stores, author).await];
    stores.idle().await;
    assert_eq!(walk(stores, readers[0]).await, expected);
    // The fourth reader is one more than are pushed to.
    let late = stores.author("late").await;
    stores.graph.connect::<Reads>(late, author).await.unwrap();
    readers.push(late);
    for _ in 0..5 {
        expected.push(note(stores, author).await);
    }
    stores.idle().await;
    let expected = newest_first(expected);
    for stores in [stores, &stores.reopened().await] {
        for reader in &readers {
            assert_eq!(walk(stores, *reader).await, expected);
        }
        assert_eq!(walk(stores, author).await, expected, "authors see their own");
    }
}
