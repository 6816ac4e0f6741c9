//! Cached lists of edges: a change that one process makes reaches the others.

use tripod::conformance::{Shuns, Stores};
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::Redis;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_points_to_a_row_is_known_to_every_process() {
    let redis = Redis::start().await;
    let here = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let there = here.reopened().await;
    super::connected(&[&here, &there]).await;
    let (a, b) = (here.author("a").await, here.author("b").await);
    let shunned =
        async |process: &Stores| process.cached().sources_among::<Shuns>(b, &[a]).await.unwrap().contains(&a);
    for _ in 0..3 {
        // Both processes have cached what changes now.
        assert!(!shunned(&here).await && !shunned(&there).await);
        here.graph.connect::<Shuns>(a, b).await.unwrap();
        assert!(shunned(&here).await, "a process does not see its own change");
        eventually("the other process knows", async || shunned(&there).await.then_some(())).await;
        here.graph.disconnect::<Shuns>(a, b).await.unwrap();
        eventually("it knows again", async || (!shunned(&there).await).then_some(())).await;
        assert!(!shunned(&here).await);
    }
}
