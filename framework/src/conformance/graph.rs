//! Graphs: both ends of an edge agree in the end, and counts are exact.

use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::ConnectionTrait;

use crate::conformance::{Author, Keeps, Note, Reads, Stores, note};
use crate::db::statement;
use crate::graph::{Edge, EdgePosition};
use crate::id::{Id, IdSet};
use crate::shard::{Keyset, Order};
use crate::testing::eventually;

/// More than any list holds.
const ALL: u64 = 1_000;

/// The counts at an edge's two ends, which must be equal in the cache and the databases.
async fn both_counts(stores: &Stores, from: Id<Author>, to: Id<Author>) -> (u64, u64) {
    let mut counts = Vec::new();
    for read in [stores.cached(), stores.primary(), stores.cached().available()] {
        let out = read.target_counts::<Reads>(&[from]).await.unwrap()[&from];
        let into = read.source_counts::<Reads>(&[to]).await.unwrap()[&to];
        counts.push((out, into));
    }
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
    counts[0]
}

async fn targets<E: Edge>(stores: &Stores, from: Id<E::From>) -> Vec<Id<E::To>> {
    stores.primary().targets::<E>(from, Keyset::newest(ALL)).await.unwrap().into_items()
}

async fn sources<E: Edge>(stores: &Stores, to: Id<E::To>) -> Vec<Id<E::From>> {
    stores.primary().sources::<E>(to, Keyset::newest(ALL)).await.unwrap().into_items()
}

/// Adding and removing are idempotent, and both ends and both counts follow.
pub async fn an_edge_is_seen_from_both_ends(stores: &Stores) {
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    let graph = &stores.graph;
    assert!(graph.connect::<Reads>(a, b).await.unwrap());
    assert!(!graph.connect::<Reads>(a, b).await.unwrap(), "the edge existed already");
    assert_eq!(both_counts(stores, a, b).await, (1, 1));
    assert_eq!(targets::<Reads>(stores, a).await, [b]);
    assert_eq!(sources::<Reads>(stores, b).await, [a]);
    for read in [stores.cached(), stores.primary()] {
        assert_eq!(read.targets_among::<Reads>(a, &[b, a]).await.unwrap(), IdSet::from_iter([b]));
        let back = read.targets_among::<Reads>(b, &[a]).await.unwrap();
        assert!(back.is_empty(), "an edge has a direction");
        assert_eq!(read.sources_among::<Reads>(b, &[a, b]).await.unwrap(), IdSet::from_iter([a]));
        let rows = read.target_rows::<Reads>(a, Keyset::newest(ALL)).await.unwrap().into_items();
        assert_eq!(rows.iter().map(|row| row.peek().name.as_str()).collect::<Vec<_>>(), ["b"]);
        let rows = read.source_rows::<Reads>(b, Keyset::newest(ALL)).await.unwrap().into_items();
        assert_eq!(rows.iter().map(|row| row.peek().name.as_str()).collect::<Vec<_>>(), ["a"]);
    }
    assert!(stores.queue.waiting().await.unwrap().is_empty(), "the job of a written inverse edge is left");

    assert!(graph.disconnect::<Reads>(a, b).await.unwrap());
    assert!(!graph.disconnect::<Reads>(a, b).await.unwrap());
    assert_eq!(both_counts(stores, a, b).await, (0, 0));
    assert!(targets::<Reads>(stores, a).await.is_empty());
    assert!(sources::<Reads>(stores, b).await.is_empty());
    assert!(!graph.disconnect::<Reads>(b, a).await.unwrap(), "an edge that never existed was removed");
}

/// Paging through neighbours meets each once, from the newest or from the oldest.
pub async fn neighbours_are_walked_by_keyset(stores: &Stores) {
    let author = stores.author("kevin").await;
    let note = stores.note(author, "kept by many").await;
    let mut keepers = Vec::new();
    for n in 0..25 {
        let keeper = stores.author(&format!("keeper-{n}")).await;
        stores.clock.advance(Duration::from_millis(1));
        stores.graph.connect::<Keeps>(keeper, note).await.unwrap();
        keepers.push(keeper);
    }
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut keyset = Keyset::<EdgePosition> { after: None, limit: 4, order };
        let mut walked = Vec::new();
        loop {
            let part = stores.primary().sources::<Keeps>(note, keyset).await.unwrap();
            walked.extend(part.items.iter().map(|(_, keeper)| *keeper));
            keyset.after = part.next;
            if keyset.after.is_none() {
                break;
            }
        }
        assert_eq!(walked, keepers, "{order:?}");
        keepers.reverse();
    }
    assert_eq!(stores.cached().source_counts::<Keeps>(&[note]).await.unwrap()[&note], 25);
}

/// An edge toggled concurrently ends in one state at both ends, and no count drifts.
pub async fn concurrent_toggles_never_drift(stores: &Stores) {
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    for round in 0..10 {
        let toggles = (0..40).map(|n| async move {
            if n % 2 == 0 {
                stores.graph.connect::<Reads>(a, b).await.unwrap();
            } else {
                stores.graph.disconnect::<Reads>(a, b).await.unwrap();
            }
        });
        futures::future::join_all(toggles).await;
        let out = targets::<Reads>(stores, a).await.len() as u64;
        let into = sources::<Reads>(stores, b).await.len() as u64;
        assert_eq!((out, into), both_counts(stores, a, b).await, "round {round}");
        assert_eq!(out, into, "the ends disagree in round {round}");
    }
}

/// A process that dies between the two ends leaves a job, which writes the inverse edge; an old job that
/// runs late changes nothing.
pub async fn an_inverse_edge_that_was_not_written_is_made_up_for(stores: &Stores) {
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    let graph = &stores.graph;
    let made = graph.change_forward_only::<Reads>(a, b, true).await.unwrap().expect("a change");
    assert_eq!(both_counts(stores, a, b).await, (1, 0), "only the forward edge is written");
    let removed = graph.change_forward_only::<Reads>(a, b, false).await.unwrap().expect("a change");
    let again = graph.change_forward_only::<Reads>(a, b, true).await.unwrap().expect("a change");
    // The clock stands still: versions determine the order, not time.
    for job in [&again, &made, &removed, &again] {
        graph.write_inverse(job, None).await.unwrap();
        assert_eq!(both_counts(stores, a, b).await, (1, 1), "an older version overwrote a newer");
    }
    let _worker = stores.work();
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert_eq!(both_counts(stores, a, b).await, (1, 1));
}

async fn delete(stores: &Stores, author: Id<Author>) {
    stores.shards.write(author, move |tx| async move { tx.delete_with_edges(author).await }).await.unwrap();
}

/// The rows that the edge tables have for one end.
async fn rows_at(stores: &Stores, end: Id<Author>) -> usize {
    let mut rows = 0;
    for database in stores.shards.databases() {
        let reader = database.reader();
        for sql in [
            "SELECT 1 FROM tripod_edge WHERE near_id = $1 OR far_id = $1",
            "SELECT 1 FROM tripod_edge_count WHERE near_id = $1",
        ] {
            rows += reader.query_all_raw(statement(reader, sql, [end.into()])).await.unwrap().len();
        }
    }
    rows
}

/// An edge needs both of its ends.
pub async fn there_is_no_edge_to_or_from_a_row_that_is_gone(stores: &Stores) {
    let (staying, leaving) = super::on_two_databases(stores).await;
    delete(stores, leaving).await;
    let _worker = stores.work();
    for (from, to) in [(staying, leaving), (leaving, staying)] {
        let refused = stores.graph.connect::<Reads>(from, to).await.unwrap_err();
        assert!(refused.is_absent(), "{refused}");
        assert!(!stores.graph.disconnect::<Reads>(from, to).await.unwrap());
        assert_eq!(both_counts(stores, from, to).await, (0, 0));
    }
    // In a transaction of the app, the far end is refused once it has committed.
    let connect =
        |from, to| stores.shards.write(from, move |tx| async move { tx.connect::<Reads>(from, to).await });
    assert!(connect(leaving, staying).await.unwrap_err().is_absent());
    assert!(connect(staying, leaving).await.unwrap());
    assert_eq!(both_counts(stores, staying, leaving).await, (0, 0));
    stores.idle().await;
    assert_eq!(rows_at(stores, leaving).await, 0);
}

/// A process dies after it has committed the forward edge, and the row at its other end is deleted before
/// the job for the inverse edge runs; or after the row was deleted.
pub async fn an_edge_whose_end_goes_before_its_inverse_is_removed(stores: &Stores) {
    let (staying, leaving) = super::on_two_databases(stores).await;
    for (from, to) in [(staying, leaving), (leaving, staying)] {
        stores.graph.change_forward_only::<Reads>(from, to, true).await.unwrap().expect("a change");
    }
    delete(stores, leaving).await;
    stores.graph.change_forward_only::<Reads>(staying, leaving, false).await.unwrap().expect("a change");
    stores.graph.change_forward_only::<Reads>(staying, leaving, true).await.unwrap().expect("a change");
    let _worker = stores.work();
    eventually("the edges are gone", async || {
        // The inverse edges' jobs wait a moment, and a job that waits for them is tried again later.
        stores.clock.advance(Duration::from_secs(5));
        (rows_at(stores, leaving).await == 0).then_some(())
    })
    .await;
    assert_eq!(both_counts(stores, staying, leaving).await, (0, 0));
    assert_eq!(both_counts(stores, leaving, staying).await, (0, 0));
}

/// Also the versions of removed edges go, at both ends.
pub async fn a_deleted_row_leaves_no_trace_of_its_edges(stores: &Stores) {
    let (staying, leaving) = super::on_two_databases(stores).await;
    let note = stores.note(staying, "a note").await;
    let graph = &stores.graph;
    graph.connect::<Keeps>(leaving, note).await.unwrap();
    for (from, to) in [(staying, leaving), (leaving, staying)] {
        graph.connect::<Reads>(from, to).await.unwrap();
        graph.disconnect::<Reads>(from, to).await.unwrap();
    }
    graph.connect::<Reads>(leaving, staying).await.unwrap();
    assert_eq!(rows_at(stores, leaving).await, 6 + 3);
    let _worker = stores.work();
    delete(stores, leaving).await;
    stores.idle().await;
    assert_eq!(rows_at(stores, leaving).await, 0);
    assert_eq!(stores.primary().source_counts::<Keeps>(&[note]).await.unwrap()[&note], 0);
}

/// Deleting a row removes its edges of every kind and in both directions, at both ends; edges between
/// other rows stay.
pub async fn a_row_is_deleted_with_its_edges(stores: &Stores) {
    let _worker = stores.work();
    let [leaving, a, b] =
        [stores.author("leaving").await, stores.author("a").await, stores.author("b").await];
    let (kept, other) = (stores.note(a, "kept").await, stores.note(a, "another").await);
    for (from, to) in [(leaving, a), (leaving, b), (a, leaving), (b, leaving), (a, b)] {
        stores.graph.connect::<Reads>(from, to).await.unwrap();
    }
    for (from, to) in [(leaving, kept), (b, kept), (b, other)] {
        stores.graph.connect::<Keeps>(from, to).await.unwrap();
    }
    let counts = async |author: Id<Author>, note: Id<Note>| {
        let read = stores.cached();
        [
            read.target_counts::<Reads>(&[author]).await.unwrap()[&author],
            read.source_counts::<Reads>(&[author]).await.unwrap()[&author],
            read.target_counts::<Keeps>(&[author]).await.unwrap()[&author],
            read.source_counts::<Keeps>(&[note]).await.unwrap()[&note],
        ]
    };
    assert_eq!(counts(leaving, kept).await, [2, 2, 1, 2]);

    let delete = async |undone: bool| {
        let deleted = stores.shards.write(leaving, move |tx| async move {
            let deleted = tx.delete_with_edges(leaving).await?;
            if undone { Err(crate::Error::conflict("on purpose")) } else { Ok(deleted) }
        });
        deleted.await
    };
    delete(true).await.unwrap_err();
    stores.idle().await;
    assert_eq!(counts(leaving, kept).await, [2, 2, 1, 2], "the edges of a row that stays were removed");
    assert!(delete(false).await.unwrap());
    assert!(!delete(false).await.unwrap(), "the row was deleted already");
    stores.idle().await;

    assert!(stores.primary().find(leaving).await.unwrap().is_none());
    for author in [leaving, a, b] {
        assert!(!targets::<Reads>(stores, author).await.contains(&leaving));
        assert!(!sources::<Reads>(stores, author).await.contains(&leaving));
    }
    assert!(targets::<Reads>(stores, leaving).await.is_empty());
    assert!(sources::<Reads>(stores, leaving).await.is_empty());
    assert!(targets::<Keeps>(stores, leaving).await.is_empty());
    assert_eq!(sources::<Keeps>(stores, kept).await, [b]);
    assert_eq!(counts(leaving, kept).await, [0, 0, 0, 1]);
    assert_eq!(both_counts(stores, a, b).await, (1, 1), "an edge between other rows changed");

    // A row that has only incoming edges, deleted with its edges.
    let deleted = stores.shards.write(kept, move |tx| async move { tx.delete_with_edges(kept).await });
    assert!(deleted.await.unwrap());
    stores.idle().await;
    assert_eq!(targets::<Keeps>(stores, b).await, [other]);
    assert_eq!(counts(b, kept).await, [0, 1, 1, 0]);
}

/// While a database is down, reads that accept partial results get the other databases' data; all other
/// reads fail.
pub async fn what_is_available_leaves_out_a_database_that_is_away(stores: &Stores) {
    let (here, there) = super::on_two_databases(stores).await;
    for (from, to) in [(here, there), (there, here)] {
        stores.graph.connect::<Reads>(from, to).await.unwrap();
    }
    // Another process, for which one of the databases goes down.
    let other = stores.reopened().await;
    other.shards.database(there.shard()).close().await.unwrap();
    for read in [other.primary(), other.cached()] {
        let whole = [
            read.target_counts::<Reads>(&[here, there]).await.map(drop),
            read.source_counts::<Reads>(&[there]).await.map(drop),
            read.targets_among::<Reads>(there, &[here]).await.map(drop),
            read.sources_among::<Reads>(there, &[here]).await.map(drop),
        ];
        for answer in whole {
            assert!(answer.unwrap_err().is_unavailable());
        }
        let read = read.available();
        let counted = read.target_counts::<Reads>(&[here, there]).await.unwrap();
        assert_eq!((counted.get(&here), counted.get(&there)), (Some(&1), None), "unknown, not zero");
        let counted = read.source_counts::<Reads>(&[there, here]).await.unwrap();
        assert_eq!((counted.get(&here), counted.get(&there)), (Some(&1), None));
        assert_eq!(read.targets_among::<Reads>(here, &[there]).await.unwrap(), IdSet::from_iter([there]));
        assert!(read.targets_among::<Reads>(there, &[here]).await.unwrap().is_empty());
        assert_eq!(read.sources_among::<Reads>(here, &[there]).await.unwrap(), IdSet::from_iter([there]));
        assert!(read.sources_among::<Reads>(there, &[here]).await.unwrap().is_empty());
        let rows = read.target_rows::<Reads>(here, Keyset::newest(ALL)).await;
        assert!(rows.is_err_and(|error| error.is_unavailable()), "no database with the rows responds");
        assert!(
            read.target_counts::<Reads>(&[there]).await.unwrap_err().is_unavailable(),
            "no database responds"
        );
    }
}

/// All rows of a deleted owner are deleted with their edges, and no others.
pub async fn what_an_owner_leaves_behind_is_deleted(stores: &Stores) {
    // More than are deleted in one transaction.
    const NOTES: usize = 230;
    let (leaving, staying) = (stores.author("leaving").await, stores.author("staying").await);
    let written = stores.shards.write(leaving, move |tx| async move {
        let mut ids = Vec::new();
        for _ in 0..NOTES {
            let (author_id, text) = (Set(leaving), Set("a note".to_owned()));
            ids.push(tx.insert(note::ActiveModel { author_id, text, ..Default::default() }).await?);
        }
        Ok(ids)
    });
    let (notes, other) = (written.await.unwrap(), stores.note(staying, "another").await);
    // A millisecond has ids for 1,024 rows and jobs of a shard.
    stores.clock.advance(Duration::from_millis(1));
    for kept in [notes[0], notes[NOTES - 1], other] {
        stores.graph.connect::<Keeps>(staying, kept).await.unwrap();
    }
    let delete = async |undone: bool| {
        let deleted = stores.shards.write(leaving, move |tx| async move {
            tx.delete_with_edges(leaving).await?;
            tx.delete_owned::<note::Entity>(leaving).await?;
            if undone { Err(crate::Error::conflict("on purpose")) } else { Ok(()) }
        });
        deleted.await
    };
    let left = async || stores.primary().find_many(&notes).await.unwrap().len();
    let _worker = stores.work();
    delete(true).await.unwrap_err();
    stores.idle().await;
    assert_eq!(left().await, NOTES, "the rows of an owner who stays were deleted");

    assert_eq!(stores.cached().find_many(&notes).await.unwrap().len(), NOTES, "cached from now on");
    delete(false).await.unwrap();
    stores.idle().await;
    assert_eq!(left().await, 0);
    assert!(stores.cached().find_many(&notes).await.unwrap().is_empty(), "deleted rows are still cached");
    assert!(stores.primary().find(other).await.unwrap().is_some(), "another owner's row was deleted");
    assert_eq!(targets::<Keeps>(stores, staying).await, [other]);

    let elsewhere =
        stores.shards.write(staying, move |tx| async move { tx.delete_owned::<note::Entity>(leaving).await });
    let on_one_shard = leaving.shard() == staying.shard();
    assert!(on_one_shard || elsewhere.await.unwrap_err().is_internal(), "the owner lives elsewhere");
}

/// Of the rows since a time, those with the most edges come first, from every database.
pub async fn the_rows_with_the_most_edges_are_found(stores: &Stores) {
    let (a, b) = super::on_two_databases(stores).await;
    let old = stores.note(a, "old").await;
    stores.graph.connect::<Keeps>(a, old).await.unwrap();
    stores.clock.advance(Duration::from_secs(60));
    let since = Id::first_at(stores.clock.now_ms());
    let notes = [stores.note(a, "two").await, stores.note(b, "one").await, stores.note(b, "none").await];
    for (keeper, note) in [(a, notes[0]), (b, notes[0]), (a, notes[1]), (b, notes[2])] {
        stores.graph.connect::<Keeps>(keeper, note).await.unwrap();
    }
    stores.graph.disconnect::<Keeps>(b, notes[2]).await.unwrap();
    let most = async |since, limit| stores.primary().most_linked::<Keeps>(since, limit).await.unwrap();
    assert_eq!(most(since, 9).await, [(notes[0], 2), (notes[1], 1)]);
    assert_eq!(most(since, 1).await, [(notes[0], 2)]);
    assert_eq!(most(Id::first_at(0), 9).await.len(), 3);
}
