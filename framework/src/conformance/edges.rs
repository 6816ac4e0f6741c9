//! Edges that are changed together: each as if it were alone, in one transaction; and the audit of all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use futures::future::{join, join_all};
use sea_orm::{ConnectionTrait, DbBackend};

use crate::conformance::{Author, Keeps, Note, Reads, Stores};
use crate::db::Database;
use crate::graph::{EdgeFault, Graph};
use crate::id::{Id, Shard};
use crate::shard::{Consistency, Keyset, Shards};

const MANY: usize = 40;

async fn authors(stores: &Stores, count: usize) -> Vec<Id<Author>> {
    let mut authors = Vec::new();
    for n in 0..count {
        authors.push(stores.author(&format!("author-{n}")).await);
    }
    authors
}

/// The edges at both ends of a note, and its count.
async fn keepers(stores: &Stores, note: Id<Note>) -> (usize, u64) {
    let listed = stores.primary().sources::<Keeps>(note, Keyset::newest(1_000)).await.unwrap();
    let counts = stores.cached().source_counts::<Keeps>(&[note]).await.unwrap();
    (listed.items.len(), counts[&note])
}

/// An audit finds nothing.
async fn assert_exact(graph: &Graph) {
    let audit = graph.audit(false, &|_| ()).await.unwrap();
    assert!(audit.faults.is_empty(), "{audit:?}");
}

/// Changes that arrive together: what refuses one does not refuse another, and each has its own answer.
pub async fn each_change_of_many_is_as_if_alone(stores: &Stores) {
    let people = authors(stores, MANY).await;
    let hot = stores.note(people[0], "kept by all").await;
    let mut notes = Vec::new();
    for author in &people {
        notes.push(stores.note(*author, "kept by one").await);
    }
    let (no_author, no_note) = (people[0].raw() ^ 1, hot.raw() ^ 1);
    let (no_author, no_note) = (Id::<Author>::from_raw(no_author), Id::<Note>::from_raw(no_note));
    let graph = &stores.graph;
    let all = people.iter().zip(&notes).map(async |(keeper, own)| {
        let (one, same, other) = tokio::join!(
            graph.connect::<Keeps>(*keeper, hot),
            graph.connect::<Keeps>(*keeper, hot),
            graph.connect::<Keeps>(*keeper, *own)
        );
        let new = [one.unwrap(), same.unwrap()];
        assert!(new[0] != new[1], "an edge is new once: {new:?}");
        assert!(other.unwrap());
        assert!(!graph.disconnect::<Reads>(*keeper, people[0]).await.unwrap(), "there was no such edge");
    });
    let refused = async {
        for _ in 0..5 {
            let (from, to) =
                join(graph.connect::<Keeps>(no_author, hot), graph.connect::<Keeps>(people[1], no_note))
                    .await;
            assert!(from.unwrap_err().is_absent() && to.unwrap_err().is_absent());
        }
    };
    join(join_all(all), refused).await;
    assert_eq!(keepers(stores, hot).await, (MANY, MANY as u64));
    for note in &notes {
        assert_eq!(keepers(stores, *note).await, (1, 1));
    }
    for (place, removed) in
        people.iter().zip(join_all(people.iter().map(|keeper| graph.disconnect::<Keeps>(*keeper, hot))).await)
    {
        assert!(removed.unwrap(), "{place:?}");
    }
    assert_eq!(keepers(stores, hot).await, (0, 0));
    assert_exact(graph).await;
}

/// Two processes change the same edges, in opposite orders: neither waits for the other in vain.
pub async fn processes_that_change_the_same_edges_get_along(stores: &Stores) {
    let people = authors(stores, 8).await;
    let other = stores.reopened().await;
    let pairs: Vec<(Id<Author>, Id<Author>)> =
        people.iter().flat_map(|from| people.iter().map(move |to| (*from, *to))).collect();
    let toggle = async |graph: &Graph, mut pairs: Vec<(Id<Author>, Id<Author>)>, first: bool| {
        for round in 0..4 {
            let add = first == (round % 2 == 0);
            let changes = pairs.iter().map(async |(from, to)| match add {
                true => graph.connect::<Reads>(*from, *to).await.unwrap(),
                false => graph.disconnect::<Reads>(*from, *to).await.unwrap(),
            });
            join_all(changes).await;
            pairs.reverse();
        }
    };
    let mut reversed = pairs.clone();
    reversed.reverse();
    let both = join(toggle(&stores.graph, pairs, true), toggle(&other.graph, reversed, false));
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("they wait for each other");
    assert_exact(&stores.graph).await;
}

/// Makes the database refuse edges to this end, as a fault in one row would.
async fn break_edges_to(stores: &Stores, far: i64) {
    for database in stores.shards.databases() {
        let sql = match database.backend() {
            DbBackend::Postgres => {
                format!(
                    "ALTER TABLE tripod_edge ADD CONSTRAINT broken CHECK (far_id <> {far} OR direction = 1)"
                )
            }
            _ => format!(
                "CREATE TRIGGER broken BEFORE INSERT ON tripod_edge WHEN NEW.far_id = {far} \
                 BEGIN SELECT RAISE(ABORT, 'on purpose'); END"
            ),
        };
        let broken =
            database.write(move |tx| async move { Ok(tx.execute_unprepared(&sql).await.map(drop)?) });
        broken.await.unwrap();
    }
}

/// What one change of a batch breaks, it breaks for itself alone.
pub async fn a_change_that_fails_takes_no_other_along(stores: &Stores) {
    let people = authors(stores, MANY).await;
    let (good, bad) = (stores.note(people[0], "good").await, stores.note(people[0], "bad").await);
    break_edges_to(stores, bad.raw()).await;
    let changes = people.iter().enumerate().map(async |(n, keeper)| match n {
        3 => assert!(stores.graph.connect::<Keeps>(*keeper, bad).await.is_err()),
        _ => assert!(stores.graph.connect::<Keeps>(*keeper, good).await.unwrap()),
    });
    join_all(changes).await;
    assert_eq!(keepers(stores, good).await, (MANY - 1, MANY as u64 - 1));
    assert_eq!(keepers(stores, bad).await, (0, 0));
    assert_exact(&stores.graph).await;
}

/// A shard that has moved away refuses its changes, and no others of the batch.
pub async fn a_change_on_a_shard_that_has_moved_is_refused(stores: &Stores) {
    let people = authors(stores, MANY).await;
    let (here, moved) = (people[0], people[1]);
    if here.shard() == moved.shard() {
        return;
    }
    let shard: Shard = moved.shard();
    let mark = stores.shards.database(shard).write(move |tx| async move {
        let sql = format!("UPDATE tripod_shard SET state = 'moved' WHERE shard = {}", shard.number());
        Ok(tx.execute_unprepared(&sql).await.map(drop)?)
    });
    mark.await.unwrap();
    let changes = people.iter().map(async |from| (*from, stores.graph.connect::<Reads>(*from, here).await));
    for (from, connected) in join_all(changes).await {
        match from.shard() == shard {
            true => assert!(connected.unwrap_err().is_unavailable()),
            false => assert!(connected.unwrap()),
        }
    }
}

/// Which of a page's rows someone has an edge to is one query, however many rows there are.
pub async fn a_page_of_memberships_is_one_query(stores: &Stores) {
    let keeper = stores.author("keeper").await;
    let mut notes = Vec::new();
    for n in 0..50 {
        notes.push(stores.note(keeper, &format!("note {n}")).await);
    }
    for note in notes.iter().step_by(2) {
        stores.graph.connect::<Keeps>(keeper, *note).await.unwrap();
    }
    let queries = Arc::new(AtomicUsize::new(0));
    let observed = |database: &Database| {
        let queries = queries.clone();
        database.clone().observed(move |_, _| {
            queries.fetch_add(1, Relaxed);
        })
    };
    let databases = stores.shards.databases().iter().map(observed).collect();
    let cache = stores.shards.cache().clone();
    let shards = Shards::open(databases, stores.clock.clone(), cache).await.unwrap();
    queries.store(0, Relaxed);
    let kept = shards.read(Consistency::Primary).targets_among::<Keeps>(keeper, &notes).await.unwrap();
    assert_eq!((kept.len(), queries.load(Relaxed)), (25, 1));
}

async fn execute(stores: &Stores, shard: Shard, sql: String) {
    let done = stores.shards.database(shard).write(move |tx| async move {
        let changed = tx.execute_unprepared(&sql).await?.rows_affected();
        assert_eq!(changed, 1, "{sql}");
        Ok(())
    });
    done.await.unwrap();
}

/// Every fault is found and repaired, while others write; a second audit finds nothing.
pub async fn an_audit_finds_and_repairs_every_fault(stores: &Stores) {
    let people = authors(stores, 12).await;
    let (here, there) = super::on_two_databases(stores).await;
    let graph = &stores.graph;
    for from in &people {
        for to in [here, there] {
            graph.connect::<Reads>(*from, to).await.unwrap();
        }
    }
    assert_exact(graph).await;

    let (wrong, no_inverse, no_forward, unwritten) = (people[0], people[1], people[2], people[3]);
    let (gone, uncounted) = (people[4], people[5]);
    let at =
        |near: Id<Author>, direction: u8| format!("near_id = {} AND direction = {direction}", near.raw());
    let edge = |near: Id<Author>, direction, far: Id<Author>| {
        format!("{} AND far_id = {}", at(near, direction), far.raw())
    };
    execute(stores, wrong.shard(), format!("UPDATE tripod_edge_count SET count = 77 WHERE {}", at(wrong, 0)))
        .await;
    execute(stores, uncounted.shard(), format!("DELETE FROM tripod_edge_count WHERE {}", at(uncounted, 0)))
        .await;
    execute(stores, here.shard(), format!("DELETE FROM tripod_edge WHERE {}", edge(here, 1, no_inverse)))
        .await;
    execute(
        stores,
        no_forward.shard(),
        format!("DELETE FROM tripod_edge WHERE {}", edge(no_forward, 0, there)),
    )
    .await;
    execute(
        stores,
        unwritten.shard(),
        format!("UPDATE tripod_edge SET live = FALSE WHERE {}", edge(unwritten, 0, here)),
    )
    .await;
    execute(stores, gone.shard(), format!("DELETE FROM author WHERE id = {}", gone.raw())).await;

    let is_over = AtomicBool::new(false);
    let write = async |from: Id<Author>| {
        while !is_over.load(Relaxed) {
            for to in [here, there] {
                graph.disconnect::<Reads>(from, to).await.unwrap();
                graph.connect::<Reads>(from, to).await.unwrap();
            }
        }
    };
    let audits = async {
        let found = graph.audit(false, &|_| ()).await.unwrap();
        assert!(!found.is_clean());
        let count = |fault| found.faults.get(&("reads".to_owned(), fault)).map_or(0, |found| found.count);
        // The lost forward edge and the lost inverse have left wrong counts, too.
        assert_eq!(
            [EdgeFault::NoInverse, EdgeFault::NoForward, EdgeFault::NoRow].map(count),
            [1, 2, 1],
            "{found:?}"
        );
        assert_eq!(count(EdgeFault::Count), 5, "{found:?}");
        let repaired = graph.audit(true, &|_| ()).await.unwrap();
        assert!(repaired.is_clean() && !repaired.faults.is_empty(), "{repaired:?}");
        assert_exact(graph).await;
        is_over.store(true, Relaxed);
    };
    tokio::join!(audits, write(people[6]), write(people[7]), write(people[8]));
    assert_exact(graph).await;

    let counted = stores.cached().source_counts::<Reads>(&[here, there]).await.unwrap();
    // The row that is gone has no edges; the edge whose forward end was lost is gone, or removed.
    assert_eq!((counted[&here], counted[&there]), (10, 10));
    let out = stores.cached().target_counts::<Reads>(&[wrong, uncounted, no_inverse]).await.unwrap();
    assert!(out.values().all(|count| *count == 2), "{out:?}");
}
