//! Starting: an unusable Redis is refused with a sentence, and one that goes away later is not needed.

use tripod::redis::Redis as Handle;
use tripod::testing::eventually;
use tripod_tests::Setup;
use tripod_tests::servers::Redis;

async fn refusal(url: &str) -> String {
    let error = Handle::open(url).await.map(drop).expect_err(url);
    assert!(error.is_configuration(), "{}", error.chain());
    error.chain()
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_a_sentence() {
    let mut redis = Redis::start().await;
    let master = Redis::start().await;
    Handle::open(&redis.url()).await.unwrap();
    let port = master.url().rsplit(':').next().unwrap().to_owned();
    redis.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
    let says = refusal(&redis.url()).await;
    assert!(says.contains("slave") && says.contains("name the master"), "{says}");
    redis.stop().await;
    let says = refusal(&redis.url()).await;
    assert!(says.contains("start it, or correct redis (TRIPOD_REDIS)"), "{says}");
    let says = refusal(&redis.url().replace("redis:", "redis-cluster:")).await;
    assert!(says.contains("no Redis answers"), "{says}");
}

#[tokio::test]
async fn an_app_goes_on_when_its_redis_has_gone() {
    let mut redis = Redis::start().await;
    let server = Setup::embedded().set("TRIPOD_REDIS", redis.url()).start().await;
    let api = server.api();
    let ready = api.get("~/readyz").await;
    assert_eq!((ready.status, ready.json["redis"].as_bool()), (200, Some(true)));
    redis.stop().await;
    eventually("the loss is noticed", async || {
        let ready = api.get("~/readyz").await;
        assert_eq!(ready.status, 200, "the service is not ready without Redis");
        (ready.json["redis"] == false).then_some(())
    })
    .await;
}
