//! Graphs: both ends of an edge agree in the end, and counts are exact.

use crate::graph::{EdgePage, Graph};
use crate::id::Id;
use crate::testing::notes::{Keeps, Reads};
use crate::testing::{Author, Stores};

const ALL: EdgePage = EdgePage { after: None, limit: 1_000 };

async fn both_counts(graph: &Graph, from: Id<Author>, to: Id<Author>) -> (u64, u64) {
    let out = graph.target_counts::<Reads>(&[from]).await.unwrap()[&from];
    let into = graph.source_counts::<Reads>(&[to]).await.unwrap()[&to];
    (out, into)
}

/// Making and removing are idempotent, and both ends and both counts follow.
pub async fn an_edge_is_seen_from_both_ends(stores: &Stores) {
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    let graph = &stores.graph;
    assert!(graph.connect::<Reads>(a, b).await.unwrap());
    assert!(!graph.connect::<Reads>(a, b).await.unwrap(), "it was there");
    assert_eq!(both_counts(graph, a, b).await, (1, 1));
    assert_eq!(graph.targets::<Reads>(a, ALL).await.unwrap()[0].id, b);
    assert_eq!(graph.sources::<Reads>(b, ALL).await.unwrap()[0].id, a);
    assert!(graph.targets_among::<Reads>(a, &[b, a]).await.unwrap().contains(&b));
    assert!(graph.targets_among::<Reads>(b, &[a]).await.unwrap().is_empty(), "an edge has a direction");
    assert!(graph.sources_among::<Reads>(b, &[a]).await.unwrap().contains(&a));
    assert!(stores.queue.waiting().await.unwrap().is_empty(), "a far end that is written needs no job");

    assert!(graph.disconnect::<Reads>(a, b).await.unwrap());
    assert!(!graph.disconnect::<Reads>(a, b).await.unwrap());
    assert_eq!(both_counts(graph, a, b).await, (0, 0));
    assert!(graph.targets::<Reads>(a, ALL).await.unwrap().is_empty());
    assert!(graph.sources::<Reads>(b, ALL).await.unwrap().is_empty());
    assert!(!graph.disconnect::<Reads>(b, a).await.unwrap(), "what never was can't be removed");
}

/// Pages of neighbours meet each once, newest first.
pub async fn neighbours_are_walked_by_keyset(stores: &Stores) {
    let author = stores.author("kevin").await;
    let note = stores.note(author, "kept by many").await;
    let mut keepers = Vec::new();
    for n in 0..25 {
        let keeper = stores.author(&format!("keeper-{n}")).await;
        stores.clock.advance(std::time::Duration::from_millis(1));
        stores.graph.connect::<Keeps>(keeper, note).await.unwrap();
        keepers.push(keeper);
    }
    keepers.reverse();
    let (mut walked, mut after) = (Vec::new(), None);
    loop {
        let links = stores.graph.sources::<Keeps>(note, EdgePage { after, limit: 4 }).await.unwrap();
        walked.extend(links.iter().map(|link| link.id));
        let Some(last) = links.last() else { break };
        after = Some((last.version, last.id.raw()));
    }
    assert_eq!(walked, keepers);
    assert_eq!(stores.graph.source_counts::<Keeps>(&[note]).await.unwrap()[&note], 25);
}

/// Toggled by many at once, an edge ends in one state on both ends, and no count drifts.
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
        let out = stores.graph.targets::<Reads>(a, ALL).await.unwrap().len() as u64;
        let into = stores.graph.sources::<Reads>(b, ALL).await.unwrap().len() as u64;
        assert_eq!((out, into), both_counts(&stores.graph, a, b).await, "round {round}");
        assert_eq!(out, into, "the ends disagree in round {round}");
    }
}

/// A process that dies between the two ends leaves a job, and the job writes the far end; an old
/// job that comes late changes nothing.
pub async fn a_far_end_that_was_not_written_is_made_up_for(stores: &Stores) {
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    let graph = &stores.graph;
    let made = graph.decide_only::<Reads>(a, b, true).await.unwrap().expect("a change");
    assert_eq!(both_counts(graph, a, b).await, (1, 0), "only the near end is written");
    let removed = graph.decide_only::<Reads>(a, b, false).await.unwrap().expect("a change");
    let again = graph.decide_only::<Reads>(a, b, true).await.unwrap().expect("a change");
    // The clock stands still: the order is in the versions, not in the time.
    for job in [&again, &made, &removed, &again] {
        graph.write_far_end(job).await.unwrap();
        assert_eq!(both_counts(graph, a, b).await, (1, 1), "an older version overwrote a newer");
    }
    let _worker = stores.work();
    stores.clock.advance(std::time::Duration::from_secs(5));
    stores.idle().await;
    assert_eq!(both_counts(graph, a, b).await, (1, 1));
}
