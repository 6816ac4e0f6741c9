//! The first level of sessions: a closed session is closed for every process at once.

use sea_orm::ConnectionTrait;
use tripod::conformance::{Author, Stores};
use tripod::id::Id;
use tripod::testing::{Backing, eventually};
use tripod::web::Sessions;
use tripod_tests::servers::Redis;

fn sessions(stores: &Stores) -> Sessions {
    stores.sessions.clone()
}

pub async fn open(stores: &Stores, account: Id<Author>) -> String {
    let sessions = sessions(stores);
    let opened = stores.shards.write(account, move |tx| async move {
        sessions.open(&tx, account, "a phone: it has: colons").await
    });
    opened.await.unwrap()
}

/// Deletes an account's sessions, bypassing the cache.
async fn delete(stores: &Stores, account: Id<Author>) {
    let deleted = stores.shards.write(account, move |tx| async move {
        let sql = format!("DELETE FROM tripod_session WHERE account_id = {}", account.raw());
        Ok(tx.connection_without_invalidation().execute_unprepared(&sql).await?)
    });
    deleted.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_found_in_redis_and_closed_everywhere_at_once() {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let (here, there) = (sessions(&stores), sessions(&stores.reopened().await));
    let account = stores.author("account").await;
    let token = open(&stores, account).await;
    let session = here.find(&token).await.unwrap().expect("it is open");
    assert_eq!(there.find(&token).await.unwrap().as_ref(), Some(&session));
    assert_eq!(session.device, "a phone: it has: colons");
    let key = cached(&redis, session.id.raw()).await.expect("it is cached");
    let left: i64 = redis.ask(&["TTL", &key]).await;
    assert!((1..=60).contains(&left), "{left}");
    let secret = token.strip_prefix("tri_").unwrap();
    assert!(!redis.ask::<String>(&["GET", &key]).await.contains(&secret[12..]), "the secret is kept");

    // Only the cache has it now, and it is read first.
    delete(&stores, account).await;
    assert_eq!(there.find(&token).await.unwrap().as_ref(), Some(&session));
    here.close(account.raw(), session.id).await.unwrap();
    closed(&there, &token).await;

    let token = open(&stores, account).await;
    let session = here.find(&token).await.unwrap().expect("it is open");
    assert!(there.close(account.raw(), session.id).await.unwrap());
    closed(&here, &token).await;
    assert_eq!(cached(&redis, session.id.raw()).await, None, "it is still in Redis");
}

/// The key under which a session is cached in Redis.
async fn cached(redis: &Redis, id: i64) -> Option<String> {
    let keys: Vec<String> = redis.ask(&["KEYS", &format!("c:tripod.session.*:{id}")]).await;
    for key in keys {
        if redis.ask::<String>(&["GET", &key]).await.starts_with('v') {
            return Some(key);
        }
    }
    None
}

/// Waits until a process sees that a session is closed.
async fn closed(sessions: &Sessions, token: &str) {
    eventually("the session is closed", async || sessions.find(token).await.unwrap().is_none().then_some(()))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_all_and_closing_the_oldest_are_seen_too() {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let (here, there) = (sessions(&stores), sessions(&stores.reopened().await));
    let account = stores.author("account").await;
    let mut tokens = Vec::new();
    for _ in 0..100 {
        tokens.push(open(&stores, account).await);
    }
    assert!(there.find(&tokens[0]).await.unwrap().is_some());
    tokens.push(open(&stores, account).await);
    // The oldest of more than a hundred is closed.
    closed(&there, &tokens[0]).await;
    assert!(there.find(&tokens[1]).await.unwrap().is_some());
    let sessions = here.clone();
    let all =
        stores.shards.write(account, move |tx| async move { sessions.close_all(&tx, account.raw()).await });
    all.await.unwrap();
    closed(&there, &tokens[1]).await;
    closed(&here, &tokens[100]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_the_database_says_who_is_signed_in() {
    let mut redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let sessions = sessions(&stores);
    let account = stores.author("account").await;
    let token = open(&stores, account).await;
    redis.stop().await;
    let session = sessions.find(&token).await.unwrap().expect("it is open");
    assert!(sessions.close(account.raw(), session.id).await.unwrap());
    assert_eq!(sessions.find(&token).await.unwrap(), None);
    redis.restart().await;
    let handle = stores.redis.as_ref().unwrap();
    eventually("Redis is back", async || handle.is_up().then_some(())).await;
    assert_eq!(sessions.find(&token).await.unwrap(), None);
}
