//! Idempotency keys: a repeated request takes effect once, wherever its effect lives.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures::future::join_all;
use sea_orm::ActiveValue::Set;
use sea_orm::ConnectionTrait;

use crate::conformance::{Author, Note, Stores, note};
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::Id;
use crate::shard::Keyset;
use crate::web::once::Key;
use crate::web::{Once, expire_keys};

/// How long a key is remembered.
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The account of a key, and the author whose notes the request creates: the same account, and another
/// one on another database.
async fn places(stores: &Stores) -> [(Id<Author>, Id<Author>); 2] {
    let (account, other) = super::on_two_databases(stores).await;
    [(account, account), (account, other)]
}

fn once(stores: &Stores, account: Id<Author>, key: &str, content: &str) -> Once {
    Once::for_testing(stores.shards.clone(), account.raw(), key, content.as_bytes())
}

/// Creates a note of this author, and then fails with `error`, if there is one.
async fn make(once: &Once, author: Id<Author>, error: Option<Error>) -> Result<Id<Note>> {
    let row = note::ActiveModel { author_id: Set(author), text: Set("x".to_owned()), ..Default::default() };
    once.write(author, move |tx| async move {
        let id = tx.insert(row).await?;
        error.map_or(Ok(id), Err)
    })
    .await
}

/// The note of an earlier request, if there was one.
async fn earlier(once: &Once, author: Id<Author>) -> Result<Option<Id<Note>>> {
    match once.earlier_or(author, async { Err(Error::absent("there was none")) }).await {
        Err(error) if error.is_absent() => Ok(None),
        found => found.map(Some),
    }
}

async fn notes(stores: &Stores, author: Id<Author>) -> Vec<Id<Note>> {
    let notes = stores.primary().list::<Note>(author, Keyset::newest(1_000)).await.unwrap();
    notes.items.into_iter().map(|(id, _)| id).collect()
}

/// The number of keys in all databases.
async fn keys(stores: &Stores) -> i64 {
    let mut keys = 0;
    for database in stores.shards.databases() {
        let count = statement(database.reader(), "SELECT COUNT(*) FROM tripod_idempotency_key", []);
        let row = database.reader().query_one_raw(count).await.unwrap().expect("a count");
        keys += row.try_get_by_index::<i64>(0).unwrap();
    }
    keys
}

/// A repeat gets the first result in any process and leaves one row; another key is another request.
pub async fn the_same_request_again_has_the_first_result(stores: &Stores) {
    let reopened = stores.reopened().await;
    for (account, author) in places(stores).await {
        let before = notes(stores, author).await.len();
        let key = format!("to {author}");
        assert_eq!(earlier(&once(stores, account, &key, "a"), author).await.unwrap(), None);
        let first = make(&once(stores, account, &key, "a"), author, None).await.unwrap();
        for process in [stores, &reopened, stores] {
            let again = once(process, account, &key, "a");
            assert_eq!(earlier(&again, author).await.unwrap(), Some(first));
            assert_eq!(make(&again, author, None).await.unwrap(), first);
            let failing = Some(Error::internal("it is not run again"));
            assert_eq!(make(&again, author, failing).await.unwrap(), first);
        }
        let another = make(&once(stores, account, "another", "a"), author, None).await;
        let unkeyed = make(&Once::without_key(&stores.shards), author, None).await;
        let ids = HashSet::from([first, another.unwrap(), unkeyed.unwrap()]);
        assert_eq!((ids.len(), notes(stores, author).await.len()), (3, before + 3));
        // The keys expire before the next case, whose effects are elsewhere.
        stores.clock.advance(DAY);
    }
}

/// Fifty concurrent requests in two processes have one effect, and all get its result.
pub async fn many_at_once_are_one_effect(stores: &Stores) {
    let reopened = stores.reopened().await;
    for (account, author) in places(stores).await {
        let before = notes(stores, author).await.len();
        let key = format!("to {author}");
        let writes = (0..50).map(|n| {
            let once = once([stores, &reopened][n % 2], account, &key, "a");
            async move { make(&once, author, None).await.unwrap() }
        });
        let results: HashSet<Id<Note>> = join_all(writes).await.into_iter().collect();
        assert_eq!(results.len(), 1, "{results:?}");
        let notes = notes(stores, author).await;
        assert_eq!(notes.len(), before + 1, "{notes:?}");
        assert!(results.contains(&notes[0]));
    }
}

/// Work before the write, such as storing files, is done by one of the concurrent requests, and by the
/// next one if it fails.
pub async fn what_is_costly_is_done_by_one(stores: &Stores) {
    for (account, author) in places(stores).await {
        let (begun, key) = (&AtomicUsize::new(0), format!("to {author}"));
        let requests = (0..20).map(|_| {
            let once = once(stores, account, &key, "a");
            async move {
                let costly = async {
                    if begun.fetch_add(1, SeqCst) == 0 {
                        return Err(Error::unavailable("the first one fails"));
                    }
                    make(&once, author, None).await
                };
                once.earlier_or(author, costly).await
            }
        });
        let (made, failed): (Vec<_>, Vec<_>) =
            join_all(requests).await.into_iter().partition(|result| result.is_ok());
        let made: HashSet<Id<Note>> = made.into_iter().map(Result::unwrap).collect();
        assert_eq!((made.len(), failed.len(), begun.load(SeqCst)), (1, 1, 2));
    }
}

/// One key is one request: another one under it is refused, wherever its effect would live.
pub async fn other_content_under_a_key_is_refused(stores: &Stores) {
    let [(account, _), (_, other)] = places(stores).await;
    let third = stores.author("third").await;
    assert!(third.shard() != account.shard() && third.shard() != other.shard());
    for first in [account, other] {
        let key = format!("to {first}");
        let made = make(&once(stores, account, &key, "a"), first, None).await.unwrap();
        for author in [account, other, third] {
            let changed = once(stores, account, &key, "b");
            let refused = make(&changed, author, None).await.unwrap_err();
            assert!(refused.is_invalid() && refused.fields()[0].field == "Idempotency-Key", "{refused}");
            assert!(earlier(&changed, author).await.unwrap_err().is_invalid());
        }
        assert_eq!(make(&once(stores, account, &key, "a"), first, None).await.unwrap(), made, "it stands");
    }
    let made = [account, other, third].map(|author| notes(stores, author));
    assert_eq!(join_all(made).await.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 0]);
}

/// One account's keys do not affect another's.
pub async fn keys_of_different_accounts_do_not_collide(stores: &Stores) {
    let [(account, _), (_, other)] = places(stores).await;
    let third = stores.author("third").await;
    let mut ids = HashSet::new();
    for (who, content) in [(account, "a"), (other, "a"), (third, "b")] {
        ids.insert(make(&once(stores, who, "key", content), other, None).await.unwrap());
    }
    assert_eq!((ids.len(), notes(stores, other).await.len()), (3, 3));
}

/// A refused request changes nothing, and its key may be used for another one.
pub async fn a_request_that_fails_leaves_no_key(stores: &Stores) {
    for (account, author) in places(stores).await {
        let before = notes(stores, author).await;
        let kept = keys(stores).await;
        let key = format!("to {author}");
        for error in [Error::conflict("taken"), Error::invalid("too long"), Error::absent("gone")] {
            make(&once(stores, account, &key, "a"), author, Some(error)).await.unwrap_err();
            assert_eq!(keys(stores).await, kept, "a key is left behind");
            assert_eq!(notes(stores, author).await, before);
        }
        let made = make(&once(stores, account, &key, "b"), author, None).await.unwrap();
        assert_eq!(make(&once(stores, account, &key, "b"), author, None).await.unwrap(), made);
        assert!(make(&once(stores, account, &key, "a"), author, None).await.unwrap_err().is_invalid());
        assert_eq!(notes(stores, author).await.len(), before.len() + 1);
    }
}

/// A request that failed but may succeed later takes effect under its key, once.
pub async fn what_may_succeed_later_is_repeated_under_its_key(stores: &Stores) {
    for (account, author) in places(stores).await {
        let before = notes(stores, author).await.len();
        let key = format!("to {author}");
        for error in [Error::unavailable("away"), Error::overloaded("full"), Error::internal("broken")] {
            make(&once(stores, account, &key, "a"), author, Some(error)).await.unwrap_err();
            assert_eq!(notes(stores, author).await.len(), before);
        }
        let made = make(&once(stores, account, &key, "a"), author, None).await.unwrap();
        assert_eq!(make(&once(stores, account, &key, "a"), author, None).await.unwrap(), made);
        assert_eq!(notes(stores, author).await.len(), before + 1);
    }
}

/// A key is remembered for a day, and then may be used again.
pub async fn a_key_is_free_after_a_day(stores: &Stores) {
    for (account, author) in places(stores).await {
        let key = format!("to {author}");
        let first = make(&once(stores, account, &key, "a"), author, None).await.unwrap();
        stores.clock.advance(DAY - Duration::from_millis(1));
        assert_eq!(make(&once(stores, account, &key, "a"), author, None).await.unwrap(), first);
        assert!(make(&once(stores, account, &key, "b"), author, None).await.unwrap_err().is_invalid());
        stores.clock.advance(Duration::from_millis(1));
        assert_eq!(earlier(&once(stores, account, &key, "b"), author).await.unwrap(), None);
        let second = make(&once(stores, account, &key, "b"), author, None).await.unwrap();
        assert_ne!(second, first);
        assert_eq!(make(&once(stores, account, &key, "b"), author, None).await.unwrap(), second);
        assert!(make(&once(stores, account, &key, "a"), author, None).await.unwrap_err().is_invalid());
        stores.clock.advance(DAY);
        let third = make(&once(stores, account, &key, "b"), author, None).await.unwrap();
        assert_ne!(third, second);
    }
}

/// Expiry deletes the keys older than a day, and no others.
pub async fn keys_expire_and_only_when_their_day_is_over(stores: &Stores) {
    let [(account, _), (_, other)] = places(stores).await;
    assert_eq!(expire_keys(&stores.shards).await.unwrap(), 0);
    for key in ["one", "two", "three"] {
        make(&once(stores, account, key, "a"), account, None).await.unwrap();
    }
    // Recorded both with its account and with its effect.
    make(&once(stores, account, "elsewhere", "a"), other, None).await.unwrap();
    assert_eq!(keys(stores).await, 5);
    stores.clock.advance(DAY / 2);
    let young = make(&once(stores, account, "young", "a"), account, None).await.unwrap();
    assert_eq!(expire_keys(&stores.shards).await.unwrap(), 0);
    stores.clock.advance(DAY / 2);
    assert_eq!(expire_keys(&stores.shards).await.unwrap(), 5);
    assert_eq!(expire_keys(&stores.shards).await.unwrap(), 0);
    assert_eq!(keys(stores).await, 1);
    assert_eq!(make(&once(stores, account, "young", "a"), account, None).await.unwrap(), young);
    let again = make(&once(stores, account, "one", "b"), account, None).await.unwrap();
    assert_eq!((notes(stores, account).await.len(), notes(stores, account).await[0]), (5, again));
}

/// A session that was closed since the request began writes nothing, at home or elsewhere, with a key or
/// without.
pub async fn a_closed_session_writes_nothing(stores: &Stores) {
    for (account, author) in places(stores).await {
        let open =
            stores.shards.write(account, move |tx| async move { tx.open_session(account, "phone").await });
        let token = open.await.unwrap();
        let session = stores.sessions.find(&token).await.unwrap().expect("it is open");
        let with_key = Once::new(
            stores.shards.clone(),
            Some(session.id),
            Some(Key::new(account.raw(), b"key", [account.raw() as u8; 32])),
        );
        let without = Once::of_session(stores.shards.clone(), session.id);
        make(&without, author, None).await.unwrap();
        let before = notes(stores, author).await;
        stores.sessions.close(account.raw(), session.id).await.unwrap();
        for once in [without, with_key] {
            let refused = make(&once, author, None).await.unwrap_err();
            assert!(refused.is_unauthenticated(), "{refused}");
        }
        assert_eq!(notes(stores, author).await, before);
        assert_eq!(keys(stores).await, 0);
    }
}

/// Wherever the account has written.
pub async fn the_keys_of_a_forgotten_account_are_deleted(stores: &Stores) {
    let [(account, own), (_, other)] = places(stores).await;
    for author in [own, other] {
        make(&once(stores, account, &author.to_string(), "x"), author, None).await.unwrap();
        make(&once(stores, other, &format!("kept {author}"), "x"), author, None).await.unwrap();
    }
    let before = keys(stores).await;
    let forget = stores.shards.write(account, move |tx| async move { tx.forget_account(account).await });
    forget.await.unwrap();
    let _worker = stores.work();
    stores.idle().await;
    // Its own at home and elsewhere, and the claim at home of the one elsewhere.
    assert_eq!(keys(stores).await, before - 3);
}
