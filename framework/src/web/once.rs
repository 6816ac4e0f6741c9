//! Writes that happen once per key: the key's row commits with the effect and holds its result.
//!
//! If the effect lives on another shard than the account, the key is first stored on the account's
//! shard, so that another request under the same key is refused wherever its effect would live. A
//! refused request leaves no key behind.
//!
//! A request's session is a condition of its write: a session that is closed meanwhile, such as by the
//! deletion of its account, has written before, or not at all.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::session::{SESSIONS, Session};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};
use crate::shard::{Shards, Tx};

/// How long a key is retained, as the API promises.
pub(super) const RETENTION_MS: i64 = 24 * 3_600 * 1_000;
/// Maximum number of keys per account, give or take one percent.
const MAX_KEYS: i64 = 100_000;
/// One in this many keys triggers a count of its account's keys, which takes time proportional to the
/// count.
const COUNT_INTERVAL: u16 = 1_024;
/// The original table of keys, which held whole replies; `RESULTS_MIGRATION` replaces it.
pub(super) const MIGRATION: Migration = || {
    let key = Table::create()
        .table("tripod_idempotency")
        .col(ColumnDef::new("account_id").big_integer().not_null())
        .col(ColumnDef::new("key_hash").binary().not_null())
        .col(ColumnDef::new("content_hash").binary().not_null())
        .col(ColumnDef::new("created_at_ms").big_integer().not_null())
        .col(ColumnDef::new("effect_id").big_integer())
        .col(ColumnDef::new("status").integer())
        .col(ColumnDef::new("content_type").text())
        .col(ColumnDef::new("reply").text())
        .primary_key(Index::create().col("account_id").col("key_hash"))
        .take();
    CreateTables::new("m20261122_000006_tripod_idempotency").table(key).boxed()
};

/// The table of keys by shard, with the effects' results instead of replies, and an index for expiry.
pub(super) const RESULTS_MIGRATION: Migration = || {
    let key = Table::create()
        .table("tripod_idempotency_key")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("account_id").big_integer().not_null())
        .col(ColumnDef::new("key_hash").binary().not_null())
        .col(ColumnDef::new("content_hash").binary().not_null())
        .col(ColumnDef::new("created_at_ms").big_integer().not_null())
        .col(ColumnDef::new("result").text())
        .primary_key(Index::create().col("shard").col("account_id").col("key_hash"))
        .take();
    let by_age = Index::create()
        .name("tripod_idempotency_key_by_age")
        .table("tripod_idempotency_key")
        .col("created_at_ms")
        .take();
    CreateTables::new("m20261127_000007_tripod_idempotency_key")
        .table(key)
        .index(by_age)
        .sql("DROP TABLE tripod_idempotency")
        .boxed()
};

/// Runs a write at most once per idempotency key, and returns the first result to repeats. Without a key
/// it is an ordinary write.
///
/// As an extractor it suits requests that are fully described by their method and path. A body that is
/// not read otherwise also counts as content. For requests with a body, use [`Keyed`](super::Keyed).
///
/// ```
/// use axum::extract::State;
/// use tripod::App;
/// use tripod::web::{Once, Path, SignedIn};
/// # use tripod::{conformance::note, id::Id};
/// async fn delete_note(me: SignedIn, Path(id): Path<Id<note::Entity>>, once: Once) -> tripod::Result<()> {
///     // A repeat finds no note, and gets the same response as the first request.
///     let delete = async {
///         // ... check that the note is the account's own ...
///         once.write(id, move |tx| async move { tx.delete(id).await.map(drop) }).await
///     };
///     once.earlier_or(id, delete).await
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Once {
    shards: Shards,
    session: Option<Id<Session>>,
    key: Option<Key>,
}

/// An account's key and the content it was used with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    account: i64,
    key_hash: [u8; 32],
    content_hash: [u8; 32],
}

impl Once {
    pub(crate) fn new(shards: Shards, session: Option<Id<Session>>, key: Option<Key>) -> Self {
        Self { shards, session, key }
    }

    /// For writes outside a request, such as in a job: `Once::without_key(&app.shards)`.
    pub fn without_key(shards: &Shards) -> Self {
        Self { shards: shards.clone(), session: None, key: None }
    }

    /// Stands in for a request of this account with this key and content.
    #[cfg(any(test, feature = "testing"))]
    pub fn for_testing(shards: Shards, account: i64, key: &str, content: &[u8]) -> Self {
        let key = Key::new(account, key.as_bytes(), Sha256::digest(content).into());
        Self { shards, session: None, key: Some(key) }
    }

    /// Stands in for a request with this session and without a key.
    #[cfg(any(test, feature = "testing"))]
    pub fn of_session(shards: Shards, session: Id<Session>) -> Self {
        Self { shards, session: Some(session), key: None }
    }

    /// Runs `work` in one transaction on a shard, as [`Shards::write`] does. If an earlier request with
    /// this key and content has done so, returns that request's result instead.
    ///
    /// The result is stored as JSON for 24 hours. It should be an id rather than a whole reply, and must
    /// not be a secret.
    ///
    /// # Errors
    /// Those of [`Shards::write`]; unauthenticated, if the request's session has been closed meanwhile, such
    /// as by the deletion of its account, and then nothing is written; invalid, when the key was used with other content; limited, when the
    /// account has used too many keys.
    pub async fn write<R, F, Done>(&self, shard: impl Into<Shard>, work: F) -> Result<R>
    where
        F: FnOnce(Tx) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Serialize + DeserializeOwned + Send + 'static,
    {
        let shard = shard.into();
        let session = self.session;
        let Some(key) = self.key else {
            let write = self.shards.write(shard, move |tx| async move {
                hold_session(&tx, session).await?;
                let result = work(tx.clone()).await?;
                check_session(&tx, session).await.map(|()| result)
            });
            return write.await;
        };
        let home = Shard::of_id(key.account);
        if home != shard {
            let claim = self.shards.write(home, move |tx| async move {
                hold_session(&tx, session).await?;
                key.claim(&tx).await.map(drop)
            });
            claim.await?;
        }
        let result = self.shards.write(shard, move |tx| async move {
            hold_session(&tx, session).await?;
            if let Some(earlier) = key.claim(&tx).await? {
                return decode(&earlier);
            }
            let result = work(tx.clone()).await?;
            key.finish(&tx, encode(&result)?).await?;
            check_session(&tx, session).await.map(|()| result)
        });
        match result.await {
            Err(error) if home != shard && is_refusal(&error) => {
                // The request changed nothing, so its key may be reused.
                let release = self.shards.write(home, move |tx| async move { key.release(&tx).await });
                if let Err(kept) = release.await {
                    tracing::warn!(error = kept.chain(), "the key of a refused request stays for a day");
                }
                Err(error)
            }
            result => result,
        }
    }

    /// Returns the result of an earlier request with this key and content, or else runs `work`, which
    /// ends with [`Self::write`] on this shard. Use it for expensive work before the write, such as
    /// storing files. Concurrent repeats in this process run it once.
    ///
    /// # Errors
    /// Those of `work` and of the database; invalid, when the key was used with other content.
    pub async fn earlier_or<R: DeserializeOwned>(
        &self,
        shard: impl Into<Shard>,
        work: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        let Some(key) = self.key else { return work.await };
        let lock = key.lock();
        let _held = lock.lock().await;
        match self.earlier(shard).await? {
            Some(result) => Ok(result),
            None => work.await,
        }
    }

    async fn earlier<R: DeserializeOwned>(&self, shard: impl Into<Shard>) -> Result<Option<R>> {
        let (Some(key), shard) = (self.key, shard.into()) else { return Ok(None) };
        let oldest_ms = self.shards.clock().now_ms() as i64 - RETENTION_MS;
        for place in [Shard::of_id(key.account), shard] {
            match key.find(self.shards.reader(place), place).await? {
                Some(found) if found.created_at_ms <= oldest_ms => {}
                Some(found) => {
                    key.check(&found)?;
                    if let Some(result) = found.result {
                        return decode(&result).map(Some);
                    }
                }
                None => {}
            }
        }
        Ok(None)
    }
}

/// A key's row.
struct StoredKey {
    content_hash: Vec<u8>,
    created_at_ms: i64,
    result: Option<String>,
}

type KeyLock = Arc<tokio::sync::Mutex<()>>;
/// By account and key hash.
type KeyLocks = HashMap<(i64, [u8; 32]), KeyLock>;

impl Key {
    pub(crate) fn new(account: i64, key: &[u8], content_hash: [u8; 32]) -> Self {
        Self { account, key_hash: Sha256::digest(key).into(), content_hash }
    }

    /// The lock that serializes requests under this key in this process.
    fn lock(&self) -> KeyLock {
        static LOCKS: LazyLock<Mutex<KeyLocks>> = LazyLock::new(Mutex::default);
        let mut locks = LOCKS.lock().unwrap_or_else(|broken| broken.into_inner());
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry((self.account, self.key_hash)).or_default().clone()
    }

    fn values(&self, shard: Shard) -> Vec<Value> {
        vec![(shard.number() as i16).into(), self.account.into(), self.key_hash.to_vec().into()]
    }

    /// Inserts the key, or returns the result stored under it.
    async fn claim(&self, tx: &Tx) -> Result<Option<String>> {
        let now_ms = tx.shards().clock().now_ms() as i64;
        if u16::from_be_bytes([self.key_hash[0], self.key_hash[1]]).is_multiple_of(COUNT_INTERVAL) {
            self.check_count(tx).await?;
        }
        let sql = "INSERT INTO tripod_idempotency_key (shard, account_id, key_hash, content_hash, created_at_ms) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
        let content = || [self.content_hash.to_vec().into(), now_ms.into()];
        let values = self.values(tx.shard()).into_iter().chain(content());
        if tx.execute(sql, values).await? == 1 {
            return Ok(None);
        }
        let found = self.find(tx.connection(), tx.shard()).await?;
        let found =
            found.ok_or_else(|| Error::unavailable("an idempotency key expired meanwhile; try again"))?;
        if found.created_at_ms <= now_ms - RETENTION_MS {
            let sql = "UPDATE tripod_idempotency_key SET content_hash = $4, created_at_ms = $5, result = NULL \
                       WHERE shard = $1 AND account_id = $2 AND key_hash = $3";
            let values = self.values(tx.shard()).into_iter().chain(content());
            tx.execute(sql, values).await?;
            return Ok(None);
        }
        self.check(&found)?;
        Ok(found.result)
    }

    async fn check_count(&self, tx: &Tx) -> Result<()> {
        let sql = "SELECT COUNT(*) FROM tripod_idempotency_key WHERE shard = $1 AND account_id = $2";
        let values = self.values(tx.shard()).into_iter().take(2);
        let row = tx.connection().query_one_raw(statement(tx.connection(), sql, values)).await?;
        let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        if count < MAX_KEYS { Ok(()) } else { Err(Error::limited(3_600)) }
    }

    async fn find(&self, connection: &impl ConnectionTrait, shard: Shard) -> Result<Option<StoredKey>> {
        let sql = "SELECT content_hash, created_at_ms, result FROM tripod_idempotency_key \
                   WHERE shard = $1 AND account_id = $2 AND key_hash = $3";
        let row = connection.query_one_raw(statement(connection, sql, self.values(shard))).await?;
        row.map(|row| {
            Ok(StoredKey {
                content_hash: row.try_get_by_index(0)?,
                created_at_ms: row.try_get_by_index(1)?,
                result: row.try_get_by_index(2)?,
            })
        })
        .transpose()
    }

    fn check(&self, found: &StoredKey) -> Result<()> {
        if found.content_hash == self.content_hash {
            return Ok(());
        }
        Err(Error::invalid_field("Idempotency-Key", "was used for another request; use a new one for each"))
    }

    async fn finish(&self, tx: &Tx, result: String) -> Result<()> {
        let sql = "UPDATE tripod_idempotency_key SET result = $4 \
                   WHERE shard = $1 AND account_id = $2 AND key_hash = $3";
        let values = self.values(tx.shard()).into_iter().chain([result.into()]);
        tx.execute(sql, values).await.map(drop)
    }

    async fn release(&self, tx: &Tx) -> Result<()> {
        let sql = "DELETE FROM tripod_idempotency_key \
                   WHERE shard = $1 AND account_id = $2 AND key_hash = $3 AND content_hash = $4 AND result IS NULL";
        let values = self.values(tx.shard()).into_iter().chain([self.content_hash.to_vec().into()]);
        tx.execute(sql, values).await.map(drop)
    }
}

/// Whether the write failed with no effect, and would fail again.
fn is_refusal(error: &Error) -> bool {
    !error.is_unconfirmed() && !error.is_unavailable() && !error.is_overloaded() && !error.is_internal()
}

fn encode<R: Serialize>(result: &R) -> Result<String> {
    serde_json::to_string(result).map_err(|error| Error::internal("a result can't be stored").because(error))
}

fn decode<R: DeserializeOwned>(result: &str) -> Result<R> {
    serde_json::from_str(result)
        .map_err(|error| Error::internal("the stored result of a request can't be read").because(error))
}

/// Before a write on its account's shard: the session is open, and stays so until the transaction ends.
async fn hold_session(tx: &Tx, session: Option<Id<Session>>) -> Result<()> {
    match session.filter(|session| session.shard() == tx.shard()) {
        Some(session) if !tx.hold_raw(SESSIONS, session.raw()).await? => Err(closed()),
        _ => Ok(()),
    }
}

/// After a write on another shard: the session is still open. Who closes it and looks for what it has
/// written waits for writes like this one first ([`Shards::settle`]).
async fn check_session(tx: &Tx, session: Option<Id<Session>>) -> Result<()> {
    let Some(session) = session.filter(|session| session.shard() != tx.shard()) else { return Ok(()) };
    let reader = tx.shards().reader(session.shard());
    let sql = "SELECT 1 FROM tripod_session WHERE id = $1";
    match reader.query_one_raw(statement(reader, sql, [session.into()])).await? {
        Some(_) => Ok(()),
        None => Err(closed()),
    }
}

fn closed() -> Error {
    Error::unauthenticated("The session has been closed meanwhile: log in again.")
}
