//! The conformance suites on stores that share a Redis. `TEST_REDIS` names one; otherwise each
//! test starts its own.

use tripod::testing::{Stores, conformance};

use crate::redis_server::Redis;

/// Empty stores, and the server that they stand on, to be kept.
async fn stores() -> (Stores, Option<Redis>) {
    if let Ok(url) = std::env::var("TEST_REDIS") {
        let url = format!("{url}?prefix=test-{:032x}:", rand::random::<u128>());
        return (Stores::with_redis(&url).await, None);
    }
    let redis = Redis::start().await;
    (Stores::with_redis(&redis.url()).await, Some(redis))
}

macro_rules! with_redis {
    ($suite:ident: $($test:ident),+ $(,)?) => {
        mod $suite {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let (stores, _redis) = stores().await;
                    conformance::$suite::$test(&stores).await;
                }
            )+
        }
    };
}

with_redis!(graph:
    an_edge_is_seen_from_both_ends,
    concurrent_toggles_never_drift,
    a_far_end_that_was_not_written_is_made_up_for,
);
with_redis!(timelines:
    an_item_reaches_its_readers_once,
    an_author_sees_their_own_item_at_once,
    a_late_edge_brings_in_what_it_missed,
    a_removed_edge_takes_its_items_out_late,
    a_timeline_goes_on_below_what_is_kept,
    edges_bring_items_in_and_take_them_out,
    a_large_audience_is_pulled,
);
with_redis!(kept:
    an_item_pushed_while_building_is_kept,
    a_drop_while_building_is_obeyed,
    what_is_trimmed_raises_the_mark,
    building_never_lowers_the_mark,
    a_build_that_fails_leaves_nothing_behind,
    those_who_ask_together_get_the_same,
);
