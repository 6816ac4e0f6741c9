//! A Redis that serves reads but refuses writes is treated as down, because changes can't be published
//! there.

use tripod::conformance::{CacheFixture, Stores};
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::{Redis, RedisCluster};

use super::connected;

/// Settings that make it refuse writes, and their usual values: too few replicas, and full memory.
const REFUSALS: [(&str, &str, &str); 2] = [("min-replicas-to-write", "1", "0"), ("maxmemory", "1", "0")];

async fn set(redis: &Redis, setting: &str, value: &str) {
    redis.ask::<()>(&["CONFIG", "SET", setting, value]).await;
}

async fn away(stores: &Stores) {
    let redis = stores.redis.as_ref().expect("these stores have one");
    eventually("Redis counts as down", async || (!redis.is_up()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_old_is_read_from_a_redis_that_refuses_writes() {
    for (setting, refuses, takes) in REFUSALS {
        let redis = Redis::start().await;
        let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
        let reopened = stores.reopened().await;
        let (here, there) = (CacheFixture::of(&stores), CacheFixture::of(&reopened));
        let author = stores.author("author").await;
        let note = stores.note(author, "0").await;
        let text = async |texts: &CacheFixture| texts.text(note).await.unwrap().expect("the note is there");
        assert_eq!([text(&here).await, text(&there).await], ["0", "0"]);
        // Cached: the database is not queried again.
        assert_eq!(here.loads() + there.loads(), 1, "{setting}");

        set(&redis, setting, refuses).await;
        here.write(note, "1").await.unwrap();
        assert_eq!(text(&here).await, "1", "{setting}: a writer reads what it wrote");
        eventually("the other process reads it, too", async || (text(&there).await == "1").then_some(()))
            .await;
        away(&stores).await;
        away(&reopened).await;
        here.write(note, "2").await.unwrap();
        assert_eq!([text(&here).await, text(&there).await], ["2", "2"], "{setting}");

        set(&redis, setting, takes).await;
        connected(&[&stores, &reopened]).await;
        let is_pending = |stores: &Stores| stores.shards.cache().has_pending_invalidations();
        let is_published = || !is_pending(&stores) && !is_pending(&reopened);
        eventually("the changes are published", async || is_published().then_some(())).await;
        let is_kept = async || {
            let loads = here.loads() + there.loads();
            assert_eq!([text(&here).await, text(&there).await], ["2", "2"], "{setting}");
            (here.loads() + there.loads() == loads).then_some(())
        };
        eventually("it is cached again", is_kept).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_of_which_one_master_refuses_writes_is_away() {
    let cluster = RedisCluster::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&cluster.url())).await;
    for (setting, refuses, takes) in REFUSALS {
        let one = &cluster.nodes()[1];
        set(one, setting, refuses).await;
        away(&stores).await;
        set(one, setting, takes).await;
        connected(&[&stores]).await;
    }
}
