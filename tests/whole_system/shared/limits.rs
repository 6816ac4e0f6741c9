//! Rate limits: all processes share one bucket, and each uses its own while Redis is down.

use std::time::{Duration, Instant};

use tripod::redis::Redis as Handle;
use tripod::testing::eventually;
use tripod::web::{Problem, RateLimit, RateLimitKey, RateLimits};
use tripod_tests::servers::Redis;

const LIMIT: RateLimit = RateLimit::new("test", 3, 3_600);

async fn limits(redis: &Redis) -> RateLimits {
    RateLimits::new(true, Some(Handle::open(&redis.url()).await.unwrap()))
}

#[tokio::test]
async fn two_processes_take_from_one_bucket() {
    let mut redis = Redis::start().await;
    let (here, there) = (limits(&redis).await, limits(&redis).await);
    let name = || RateLimitKey::Name("somebody's password".to_owned());
    for limits in [&here, &there, &here] {
        limits.check(LIMIT, name()).await.unwrap();
    }
    for limits in [&here, &there] {
        let refused = limits.check(LIMIT, name()).await.unwrap_err();
        assert!(refused.is_limited(), "{refused}");
        // A third of the hour restores one request; governor agrees.
        assert!(matches!(refused.retry_after_seconds(), Some(1_200 | 1_201)), "{refused}");
        let problem = Problem::from(refused);
        assert_eq!(problem.status, 429);
        let wait = problem.detail;
        assert!(["1200", "1201"].iter().any(|seconds| wait.contains(seconds)), "{wait}");
    }
    here.check(LIMIT, RateLimitKey::Account(1)).await.unwrap();
    there.check(RateLimit::new("other", 1, 60), name()).await.unwrap();
    let keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    assert_eq!(keys.len(), 3, "{keys:?}");
    assert!(keys.iter().all(|key| !key.contains("password")), "{keys:?}");
    for key in &keys {
        assert!(redis.ask::<i64>(&["PTTL", key]).await > 0, "{key} does not expire");
    }
    redis.stop().await;
    here.check(LIMIT, name()).await.expect("this process counts while Redis is down");
    for _ in 0..2 {
        here.check(LIMIT, name()).await.unwrap();
    }
    here.check(LIMIT, name()).await.unwrap_err();
}

#[tokio::test]
async fn a_bucket_fills_up_evenly() {
    let redis = Redis::start().await;
    let limits = limits(&redis).await;
    let limit = RateLimit::new("quick", 4, 1);
    let (begun, mut taken) = (Instant::now(), 0);
    eventually("two seconds have gone", async || {
        while limits.check(limit, RateLimitKey::Account(1)).await.is_ok() {
            taken += 1;
        }
        (begun.elapsed() > Duration::from_secs(2)).then_some(())
    })
    .await;
    let most = 4 + (begun.elapsed().as_millis() / 250) as usize;
    assert!((most - 2..=most).contains(&taken), "{taken} of {most}");
}
