//! The store of ready timelines: no pushed item is missing above a timeline's mark.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::cache::Cache;
use crate::config;
use crate::conformance::Stores;
use crate::error::Error;
use crate::shard::Consistency;
use crate::telemetry::Metrics;
use crate::timeline::page::Key;
use crate::timeline::pulled::SharedVersion;
use crate::timeline::store::Store;

const KEY: Key = ("home", 1);

/// A store of one process, with a cache of its own.
fn store(stores: &Stores, length: usize) -> Store {
    store_and_cache(stores, length).0
}

fn store_and_cache(stores: &Stores, length: usize) -> (Store, Cache) {
    let settings = config::Cache { memory_bytes: 1 << 20, value_bytes: 1 << 10 };
    let cache = Cache::open(stores.redis.clone(), stores.clock.clone(), &settings, &Metrics::default());
    let cache = cache.expect("a cache");
    let shared = stores.redis.clone().map(|redis| SharedVersion::new(redis, &cache));
    (Store::new(shared, &cache, &[KEY.0], length, 1 << 20), cache)
}

/// The newest stored items, and the mark; built from `found` if nothing is stored.
async fn read(store: &Store, before: i64, found: &[i64]) -> (Vec<i64>, i64) {
    let found = found.to_vec();
    let page = store.read(KEY, before, 100, Consistency::Cached, async move |_| Ok(found)).await.unwrap();
    (page.items, page.complete_above)
}

async fn push(store: &Store, items: impl IntoIterator<Item = i64>) {
    for item in items {
        store.push(KEY.0, &[KEY.1, KEY.1 + 1], item).await.unwrap();
    }
}

/// Items that arrive between the database's answer and its storing are neither lost nor duplicated.
pub async fn an_item_pushed_while_building_is_kept(stores: &Stores) {
    let store = store(stores, 10);
    let built = store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| {
        let found = vec![1, 2];
        push(&store, [3, 2, 3]).await;
        Ok(found)
    });
    assert_eq!(built.await.unwrap().items, [3, 2, 1]);
    push(&store, [4]).await;
    assert_eq!(read(&store, i64::MAX, &[]).await, (vec![4, 3, 2, 1], 0), "the timeline is not stored");
    assert_eq!(read(&store, 3, &[]).await.0, [2, 1]);
}

/// A timeline that is dropped while it is built was read too early: it is not kept.
pub async fn a_drop_while_building_is_obeyed(stores: &Stores) {
    let store = store(stores, 10);
    let built = store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| {
        store.drop_timelines(KEY.0, &[KEY.1]).await.unwrap();
        Ok(vec![1])
    });
    built.await.unwrap();
    assert_eq!(read(&store, i64::MAX, &[2]).await.0, [2]);
}

/// An item removed during a build may already have been read: what was built is not kept.
pub async fn a_removal_while_building_is_obeyed(stores: &Stores) {
    let store = store(stores, 10);
    let built = store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| {
        store.remove(KEY.0, &[KEY.1], 1).await.unwrap();
        Ok(vec![2, 1])
    });
    built.await.unwrap();
    assert_eq!(read(&store, i64::MAX, &[2]).await, (vec![2], 0));
}

/// After a database has failed over, timelines are built again, also those whose build had begun. A process
/// that has not heard of it yet neither uses nor keeps the new ones.
pub async fn what_was_read_before_a_failover_is_not_kept(stores: &Stores) {
    let ((here, cache), (there, other_cache)) = (store_and_cache(stores, 10), store_and_cache(stores, 10));
    assert_eq!(read(&here, i64::MAX, &[1]).await.0, [1]);
    let built = here.read(KEY, i64::MAX, 100, Consistency::Primary, async |_| {
        cache.begin_generation(7);
        Ok(vec![2, 1])
    });
    built.await.unwrap();
    let late = here.read((KEY.0, 9), i64::MAX, 100, Consistency::Cached, async |_| {
        cache.begin_generation(8);
        Ok(vec![1])
    });
    late.await.unwrap();
    assert_eq!(read(&there, i64::MAX, &[1]).await.0, [1], "a process that is behind uses what is ahead");
    assert_eq!(read(&here, i64::MAX, &[3]).await.0, [3], "what was read before the failover is kept");
    let page = here.read((KEY.0, 9), i64::MAX, 100, Consistency::Cached, async |_| Ok(vec![4]));
    assert_eq!(page.await.unwrap().items, [4], "a build that began before the failover is kept");
    other_cache.begin_generation(8);
    assert_eq!(read(&there, i64::MAX, &[3]).await.0, [3]);
}

/// A timeline that exceeds its length drops its oldest items and raises its mark.
pub async fn what_is_trimmed_raises_the_mark(stores: &Stores) {
    let store = store(stores, 3);
    assert_eq!(read(&store, i64::MAX, &[20, 10]).await, (vec![20, 10], 0));
    // Too large for a double to represent exactly.
    let large = (1 << 60) + 1;
    push(&store, [30, 40, large, large + 1, 50]).await;
    let (items, mark) = read(&store, i64::MAX, &[]).await;
    assert_eq!(items[..3], [large + 1, large, 50]);
    assert!(items.iter().all(|item| *item > mark), "{items:?} above {mark}");
    let above: Vec<i64> =
        [10, 20, 30, 40, 50, large, large + 1].into_iter().filter(|item| *item > mark).collect();
    assert_eq!(items.iter().rev().copied().collect::<Vec<_>>(), above, "a gap above {mark}");
    assert!(mark >= 20, "nothing was trimmed");
    push(&store, [5]).await;
    assert!(!read(&store, i64::MAX, &[]).await.0.contains(&5), "an item below the mark is returned");
}

/// In whatever order items arrive, and however often, every page holds the newest below its start.
pub async fn items_come_in_any_order(stores: &Stores) {
    let seed = std::env::var("TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    let (mut random, store) = (StdRng::seed_from_u64(seed), store(stores, 20));
    let (mut all, mut highest_mark) = (BTreeSet::from([40, 60]), 0);
    read(&store, i64::MAX, &[60, 40]).await;
    for step in 0..300 {
        let item = random.random_range(1..1_000);
        push(&store, [item]).await;
        // Only the database may have the items below the mark, so they are never checked.
        all.insert(item);
        let (before, limit) = (random.random_range(1..1_100), random.random_range(1..30));
        let page = store
            .read(KEY, before, limit, Consistency::Cached, async |_| panic!("the timeline is stored"))
            .await
            .unwrap();
        let mark = page.complete_above;
        let expected: Vec<i64> =
            all.iter().rev().filter(|item| (mark + 1..before).contains(item)).take(limit).copied().collect();
        assert_eq!(page.items, expected, "step {step}, {limit} below {before}, TEST_SEED={seed}");
        assert!(mark >= highest_mark, "the mark fell from {highest_mark} to {mark}, TEST_SEED={seed}");
        let kept = all.range(mark + 1..).count();
        assert!(
            (20..=25).contains(&kept) || mark == 0,
            "{kept} items are kept above {mark}, TEST_SEED={seed}"
        );
        highest_mark = mark;
    }
    assert!(highest_mark > 0, "nothing was trimmed, TEST_SEED={seed}");
}

/// A removed item is on no page any more, and no other item is dropped with it.
pub async fn what_is_removed_is_gone_and_lowers_no_mark(stores: &Stores) {
    let store = store(stores, 3);
    assert_eq!(read(&store, i64::MAX, &[40, 30, 20]).await, (vec![40, 30, 20], 19));
    let remove = async |item| store.remove(KEY.0, &[KEY.1, KEY.1 + 1], item).await.unwrap();
    for item in [30, 30, 35, 10] {
        remove(item).await;
    }
    assert_eq!(read(&store, i64::MAX, &[]).await, (vec![40, 20], 19));
    push(&store, [50]).await;
    assert_eq!(read(&store, i64::MAX, &[]).await, (vec![50, 40, 20], 19));
    for item in [20, 40, 50] {
        remove(item).await;
    }
    assert_eq!(read(&store, i64::MAX, &[]).await, (vec![], 19), "an emptied timeline is not stored");
    store.drop_timelines(KEY.0, &[KEY.1]).await.unwrap();
    remove(20).await;
    assert_eq!(read(&store, i64::MAX, &[9]).await, (vec![9], 0), "a missing timeline is not built as before");
}

/// A build sets a mark if the database had more items; pushes meanwhile may have raised it.
pub async fn building_never_lowers_the_mark(stores: &Stores) {
    let store = store(stores, 2);
    assert_eq!(read(&store, i64::MAX, &[9, 8]).await, (vec![9, 8], 7));
    store.drop_timelines(KEY.0, &[KEY.1]).await.unwrap();
    let built = store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| {
        push(&store, [10, 11, 12]).await;
        Ok(vec![3, 2])
    });
    let page = built.await.unwrap();
    assert_eq!((page.items, page.complete_above), (vec![12, 11], 10));
}

/// The next read builds the timeline.
pub async fn a_build_that_fails_leaves_nothing_behind(stores: &Stores) {
    let store = store(stores, 10);
    let failed =
        store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| Err(Error::unavailable("away"))).await;
    assert!(failed.is_err_and(|error| error.is_unavailable()));
    assert_eq!(read(&store, i64::MAX, &[4]).await.0, [4]);
    assert_eq!(read(&store, i64::MAX, &[5]).await.0, [4], "the timeline is not stored");
}

/// However many reads are concurrent, one builds, and all include what was pushed before they began.
pub async fn those_who_ask_together_get_the_same(stores: &Stores) {
    let store = store(stores, 10);
    let builds = std::sync::atomic::AtomicU32::new(0);
    let asks = (0..20).map(async |_| {
        let page = store.read(KEY, i64::MAX, 100, Consistency::Cached, async |_| {
            builds.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            push(&store, [2]).await;
            Ok(vec![1])
        });
        page.await.unwrap().items
    });
    for items in futures::future::join_all(asks).await {
        assert_eq!(items, [2, 1]);
    }
    assert_eq!(builds.into_inner(), 1);
}
