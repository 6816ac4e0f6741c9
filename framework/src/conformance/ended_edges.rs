//! Kinds of edges that end others: what they end is gone in both directions, whatever happens at once.

use std::time::Duration;

use crate::conformance::{Author, Reads, Shuns, Stores};
use crate::id::{Id, IdSet};

/// Whether `a` reads `b`, and `b` reads `a`: at both ends of each edge and by the counts, which must agree.
async fn reading(stores: &Stores, a: Id<Author>, b: Id<Author>) -> [bool; 2] {
    let read = stores.primary();
    let mut reading = [false; 2];
    for (index, (from, to)) in [(a, b), (b, a)].into_iter().enumerate() {
        let forward = !read.targets_among::<Reads>(from, &[to]).await.unwrap().is_empty();
        let inverse = !read.sources_among::<Reads>(to, &[from]).await.unwrap().is_empty();
        let out = read.target_counts::<Reads>(&[from]).await.unwrap()[&from];
        let into = read.source_counts::<Reads>(&[to]).await.unwrap()[&to];
        assert_eq!((inverse, out, into), (forward, forward.into(), forward.into()), "the ends disagree");
        reading[index] = forward;
    }
    reading
}

/// What is ended does not return by itself, and nothing like it can be added before the other edge is gone.
pub async fn an_edge_ends_others_in_both_directions_and_keeps_them_out(stores: &Stores) {
    let ((a, b), graph) = (super::on_two_databases(stores).await, &stores.graph);
    let bystander = stores.author("bystander").await;
    for (from, to) in [(a, b), (b, a), (bystander, a), (b, bystander)] {
        graph.connect::<Reads>(from, to).await.unwrap();
    }
    for read in [stores.cached(), stores.primary()] {
        assert!(read.sources_among::<Shuns>(b, &[a]).await.unwrap().is_empty());
    }
    graph.disconnect::<Reads>(bystander, a).await.unwrap();
    graph.disconnect::<Reads>(b, bystander).await.unwrap();
    assert_eq!(reading(stores, a, b).await, [true, true]);

    assert!(graph.connect::<Shuns>(a, b).await.unwrap());
    assert_eq!(reading(stores, a, b).await, [false, false]);
    for read in [stores.cached(), stores.primary()] {
        assert_eq!(read.targets_among::<Shuns>(a, &[b]).await.unwrap(), IdSet::from_iter([b]));
        assert_eq!(read.sources_among::<Shuns>(b, &[a, bystander]).await.unwrap(), IdSet::from_iter([a]));
    }
    for (from, to) in [(a, b), (b, a)] {
        assert!(graph.connect::<Reads>(from, to).await.unwrap_err().is_absent());
        assert!(!graph.disconnect::<Reads>(from, to).await.unwrap());
        let in_a_transaction =
            stores.shards.write(from, move |tx| async move { tx.connect::<Reads>(from, to).await });
        assert!(in_a_transaction.await.unwrap_err().is_absent());
    }
    assert!(graph.connect::<Reads>(bystander, a).await.unwrap(), "others are not concerned");
    graph.disconnect::<Reads>(bystander, a).await.unwrap();

    assert!(graph.disconnect::<Shuns>(a, b).await.unwrap());
    assert_eq!(reading(stores, a, b).await, [false, false], "an edge came back");
    assert!(graph.connect::<Reads>(b, a).await.unwrap());
    assert_eq!(reading(stores, a, b).await, [false, true]);
    assert!(stores.queue.waiting().await.unwrap().is_empty(), "a job of a written edge is left");
}

/// Whichever of them commits first.
pub async fn edges_that_are_added_as_they_are_ended_do_not_stay(stores: &Stores) {
    let ((a, b), graph) = (super::on_two_databases(stores).await, &stores.graph);
    let _worker = stores.work();
    for round in 0..20 {
        if round % 2 == 1 {
            graph.connect::<Reads>(b, a).await.unwrap();
        }
        let add = async |from, to| {
            let added = graph.connect::<Reads>(from, to).await;
            assert!(added.as_ref().map_or_else(crate::Error::is_absent, |_| true), "{added:?}");
        };
        let shun = async || assert!(graph.connect::<Shuns>(a, b).await.unwrap());
        tokio::join!(add(a, b), add(b, a), shun(), add(a, b), add(b, a));
        stores.clock.advance(Duration::from_secs(5));
        stores.idle().await;
        assert_eq!(reading(stores, a, b).await, [false, false], "round {round}");
        assert!(graph.disconnect::<Shuns>(a, b).await.unwrap());
    }
}

/// A process that dies after the forward edge leaves the rest to its job.
pub async fn what_a_crash_leaves_is_ended_later(stores: &Stores) {
    let ((a, b), graph) = (super::on_two_databases(stores).await, &stores.graph);
    for (from, to) in [(a, b), (b, a)] {
        graph.connect::<Reads>(from, to).await.unwrap();
    }
    graph.change_forward_only::<Shuns>(a, b, true).await.unwrap().expect("a change");
    assert_eq!(reading(stores, a, b).await, [false, true], "the other shard does not know yet");
    let _worker = stores.work();
    stores.clock.advance(Duration::from_secs(5));
    stores.idle().await;
    assert_eq!(reading(stores, a, b).await, [false, false]);
}
