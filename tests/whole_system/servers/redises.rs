//! Redis alone, as a cluster, and watched by sentinels.

use std::time::{Duration, Instant};

use tripod_tests::servers::{Redis, RedisCluster, Sentinel};

use super::{Traces, runs};

#[tokio::test]
async fn redis_holds_what_it_is_told_and_comes_back_as_it_is_told_to() {
    let began = Instant::now();
    let mut redis = Redis::start_with(&[("maxmemory", "32mb")]).await;
    println!("Redis: ready after {:?}", began.elapsed());
    assert_eq!(redis.ask::<Vec<String>>(&["CONFIG", "GET", "maxmemory"]).await[1], "33554432");
    let keys = async |redis: &Redis| redis.ask::<Vec<String>>(&["KEYS", "*"]).await;
    redis.ask::<()>(&["SET", "first", "1"]).await;
    redis.save().await;
    redis.ask::<()>(&["SET", "second", "2"]).await;
    redis.restart().await;
    assert_eq!(keys(&redis).await, ["first"], "what was saved, and no more");
    redis.restart_empty().await;
    assert!(keys(&redis).await.is_empty());
    redis.ask::<()>(&["SET", "third", "3"]).await;
    redis.flush().await;
    assert!(keys(&redis).await.is_empty());

    redis.pause();
    let asked = Box::pin(keys(&redis));
    assert!(tokio::time::timeout(Duration::from_millis(300), asked).await.is_err(), "it answered");
    redis.resume();
    assert!(keys(&redis).await.is_empty());

    let traces = Traces::of(&[redis.pid()], redis.directory());
    redis.pause();
    drop(redis);
    traces.assert_gone();
}

#[tokio::test]
async fn a_cluster_serves_every_slot() {
    let began = Instant::now();
    let cluster = RedisCluster::start().await;
    println!("Redis Cluster: ready after {:?}", began.elapsed());
    write_all_over(&cluster, "a").await;
    let sizes = futures::future::join_all(cluster.nodes().iter().map(|node| node.ask::<usize>(&["DBSIZE"])));
    let sizes = sizes.await;
    assert!(sizes.iter().all(|size| *size > 10) && sizes.iter().sum::<usize>() == 100, "{sizes:?}");
    cluster.flush().await;
    assert_eq!(cluster.nodes()[0].ask::<usize>(&["DBSIZE"]).await, 0);
}

#[tokio::test]
async fn a_cluster_with_replicas_loses_a_master_and_goes_on() {
    let began = Instant::now();
    let mut cluster = RedisCluster::start_with_replicas().await;
    println!("Redis Cluster with replicas: ready after {:?}", began.elapsed());
    let began = Instant::now();
    cluster.fail_over().await;
    println!("Redis Cluster: failed over in {:?}", began.elapsed());
    write_all_over(&cluster, "b").await;
    let pids: Vec<u32> = cluster.nodes().iter().filter(|node| node.runs()).map(Redis::pid).collect();
    assert_eq!(pids.len(), 5);
    let traces = Traces::of(&pids, cluster.nodes()[0].directory());
    drop(cluster);
    traces.assert_gone();
}

/// Writes with a cluster client, using the URL's nodes.
async fn write_all_over(cluster: &RedisCluster, prefix: &str) {
    let url = cluster.url();
    let nodes =
        url.strip_prefix("redis-cluster://").unwrap().split(',').map(|node| format!("redis://{node}"));
    let client = redis::cluster::ClusterClient::new(nodes.collect::<Vec<_>>()).unwrap();
    let mut connection = client.get_async_connection().await.unwrap();
    for n in 0..100 {
        let mut set = redis::cmd("SET");
        set.arg(format!("{prefix}{n}")).arg(n);
        set.exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn sentinels_name_another_master_when_one_dies() {
    let began = Instant::now();
    let mut sentinel = Sentinel::start().await;
    println!("Sentinel: ready after {:?}", began.elapsed());
    let url = sentinel.url();
    let (sentinels, name) = url.strip_prefix("redis-sentinel://").unwrap().split_once('/').unwrap();
    assert_eq!((sentinels.split(',').count(), name), (3, "mymaster"));
    sentinel.master().await.ask::<()>(&["SET", "kept", "1"]).await;
    // Otherwise the write might not reach the replica before its master dies.
    assert_eq!(sentinel.master().await.ask::<usize>(&["WAIT", "1", "5000"]).await, 1);
    for _ in 0..2 {
        let (before, began) = (sentinel.master().await.pid(), Instant::now());
        sentinel.fail_over().await;
        println!("Sentinel: failed over in {:?}", began.elapsed());
        assert!(!runs(before) && sentinel.master().await.pid() != before);
        assert_eq!(sentinel.master().await.ask::<String>(&["GET", "kept"]).await, "1");
        sentinel.revive().await;
    }
    let traces = Traces::of(&sentinel.pids(), sentinel.master().await.directory());
    assert_eq!(traces.pids.len(), 5);
    drop(sentinel);
    traces.assert_gone();
}
