//! `Idempotency-Key`: the same request again gives the first reply again, and no second effect.
//!
//! A key's row is on its account's shard. It is written before the effect and holds the id that
//! was minted for it, so that a repeat after a crash finds either the reply, or the effect under
//! that id, or nothing and then makes it under that id. Repeats at the same time wait for the
//! first. Only replies of success are kept: a refused request changed nothing and is judged anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, QueryResult, Value};
use sha2::{Digest, Sha256};

use super::{Problem, SignedIn, body};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};
use crate::shard::{Sharded, Shards};

/// How long a key is remembered, as the API promises.
const REMEMBERED_MS: u64 = 24 * 3_600 * 1_000;
/// Characters of a key at most.
const KEY_CHARACTERS: usize = 255;
/// The header that carries the key.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The keys, on their accounts' shards.
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

type Key = (i64, [u8; 32]);

/// Remembers keys; clones share everything.
#[derive(Clone)]
pub struct Idempotency {
    shards: Shards,
    /// One lock a key that is in work in this process; in another process the row's id serves.
    at_work: Arc<Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>>,
}

/// Extractor: the request's key, where the effect's id is kept. Without a key it keeps nothing.
#[derive(Clone, Default)]
pub struct Slot(Option<(Idempotency, Key)>);

impl Slot {
    /// The id under which the effect must be made, the same at each repeat; none without a key,
    /// when the transaction mints one itself.
    ///
    /// # Errors
    /// Those of the account's database.
    pub async fn reserve<E: Sharded>(&self, shard: Shard) -> Result<Option<Id<E>>> {
        let Some((idempotency, (account, key))) = self.0.clone() else { return Ok(None) };
        let fresh: Id<E> = idempotency.shards.mint(shard)?;
        let raw = idempotency
            .shards
            .write::<_, Error, _>(Shard::of_id(account), move |tx| {
                Box::pin(async move {
                    let sql = "UPDATE tripod_idempotency SET effect_id = COALESCE(effect_id, $3) \
                               WHERE account_id = $1 AND key_hash = $2 RETURNING effect_id";
                    let values = [account.into(), key.to_vec().into(), fresh.into()];
                    let row = tx.connection().query_one_raw(statement(tx.connection(), sql, values)).await?;
                    let row =
                        row.ok_or_else(|| Error::unavailable("the idempotency key has expired meanwhile"))?;
                    Ok(row.try_get_by_index::<i64>(0)?)
                })
            })
            .await?;
        Ok(Some(Id::from_raw(raw)))
    }
}

impl<S: Sync> FromRequestParts<S> for Slot {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// A reply that carries a secret, such as a token: it is never kept, so a repeat is a request anew.
pub struct Secret<T>(pub T);

#[derive(Clone)]
struct NeverKept;

impl<T: IntoResponse> IntoResponse for Secret<T> {
    fn into_response(self) -> Response {
        let mut response = self.0.into_response();
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.extensions_mut().insert(NeverKept);
        response
    }
}

/// What is known of a key.
enum Known {
    New,
    Replied(Response),
}

impl Idempotency {
    /// The keys of these shards.
    pub fn new(shards: Shards) -> Self {
        Self { shards, at_work: Arc::default() }
    }

    /// Runs `effect` once for the key in these headers. `content` is the request's content, by
    /// which a repeat is told from another request under the same key.
    ///
    /// # Errors
    /// 422 when the key is too long or was used for another request; those of `effect`.
    pub async fn once(
        &self,
        account: i64,
        headers: &HeaderMap,
        content: [u8; 32],
        effect: impl AsyncFnOnce(Slot) -> Response,
    ) -> Result<Response, Problem> {
        let Some(key) = idempotency_key(headers)? else { return Ok(effect(Slot::default()).await) };
        let key = (account, Sha256::digest(key).into());
        let lock = self.lock(key);
        let _turn = lock.lock().await;
        match self.begin(key, content).await? {
            Known::Replied(reply) => Ok(reply),
            Known::New => {
                let reply = effect(Slot(Some((self.clone(), key)))).await;
                self.end(key, reply).await
            }
        }
    }

    fn lock(&self, key: Key) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.at_work.lock().unwrap_or_else(|broken| broken.into_inner());
        locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        locks.entry(key).or_default().clone()
    }

    /// Notes the key, or finds what is known of it.
    async fn begin(&self, (account, key): Key, content: [u8; 32]) -> Result<Known, Problem> {
        let now_ms = self.shards.clock().now_ms() as i64;
        self.shards
            .write(Shard::of_id(account), move |tx| {
                Box::pin(async move {
                    let connection = tx.connection();
                    let expire = "DELETE FROM tripod_idempotency WHERE account_id = $1 AND created_at_ms <= $2";
                    let expired = [account.into(), (now_ms - REMEMBERED_MS as i64).into()];
                    connection.execute_raw(statement(connection, expire, expired)).await.map_err(Error::from)?;
                    let note = "INSERT INTO tripod_idempotency (account_id, key_hash, content_hash, created_at_ms) \
                                VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
                    let values = [account.into(), key.to_vec().into(), content.to_vec().into(), now_ms.into()];
                    connection.execute_raw(statement(connection, note, values)).await.map_err(Error::from)?;
                    let find = "SELECT content_hash, status, content_type, reply FROM tripod_idempotency \
                                WHERE account_id = $1 AND key_hash = $2";
                    let values = [account.into(), key.to_vec().into()];
                    let row = connection.query_one_raw(statement(connection, find, values)).await.map_err(Error::from)?;
                    let row = row.ok_or_else(|| Error::internal("a row that was just inserted is not there"))?;
                    known(&row, content)
                })
            })
            .await
    }

    /// Keeps a reply of success; forgets the key of a request that was refused before it reserved
    /// an id, having changed nothing, and of one whose reply is secret. A fault of ours leaves the key as it is, with the id of what may have been done.
    async fn end(&self, (account, key): Key, reply: Response) -> Result<Response, Problem> {
        let status = reply.status();
        if status.is_server_error() {
            return Ok(reply);
        }
        let keep = status.is_success() && reply.extensions().get::<NeverKept>().is_none();
        let (parts, body) = reply.into_parts();
        let bytes = body.collect().await.map_err(|_| Problem::internal())?.to_bytes();
        let text = String::from_utf8(bytes.to_vec()).map_err(|_| Problem::internal())?;
        let content_type =
            parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        self.shards
            .write::<_, Error, _>(Shard::of_id(account), move |tx| {
                Box::pin(async move {
                    let key = [Value::from(account), key.to_vec().into()];
                    let (sql, values) = if keep {
                        let reply = [i32::from(status.as_u16()).into(), content_type.into(), text.into()];
                        let sql = "UPDATE tripod_idempotency SET status = $3, content_type = $4, reply = $5 \
                                   WHERE account_id = $1 AND key_hash = $2";
                        (sql, key.into_iter().chain(reply).collect::<Vec<_>>())
                    } else {
                        let sql = "DELETE FROM tripod_idempotency \
                                   WHERE account_id = $1 AND key_hash = $2 AND status IS NULL AND effect_id IS NULL";
                        (sql, key.into())
                    };
                    tx.connection().execute_raw(statement(tx.connection(), sql, values)).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }
}

/// Middleware for operations with a small body: runs an unsafe request with a key once. A route
/// that takes large bodies calls [`Idempotency::once`] itself.
pub async fn idempotent(State(idempotency): State<Idempotency>, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let Some(SignedIn(session)) = request.extensions().get::<SignedIn>().cloned() else {
        return next.run(request).await;
    };
    if safe || !request.headers().contains_key(IDEMPOTENCY_KEY) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let bytes = match axum::body::to_bytes(body, body::DEFAULT_LIMIT_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => return too_large_or_cut_off(&error).into_response(),
    };
    let content = content_hash(&parts.method, parts.uri.path(), [bytes.as_ref()]);
    let headers = parts.headers.clone();
    let run = async |slot: Slot| {
        let mut request = Request::from_parts(parts, Body::from(bytes));
        request.extensions_mut().insert(slot);
        next.run(request).await
    };
    idempotency.once(session.account, &headers, content, run).await.unwrap_or_else(Problem::into_response)
}

fn too_large_or_cut_off(error: &axum::Error) -> Problem {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = cause {
        if inner.is::<http_body_util::LengthLimitError>() {
            return Problem::too_large(format!(
                "The body is larger than {} bytes.",
                body::DEFAULT_LIMIT_BYTES
            ));
        }
        cause = inner.source();
    }
    Problem::malformed("The body was cut off.")
}

/// What a request is, for telling repeats from other requests: its operation and the parts of its
/// content, each with its length so that no two sequences of parts are alike.
pub fn content_hash<'p>(
    method: &'p Method,
    path: &'p str,
    parts: impl IntoIterator<Item = &'p [u8]>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes()].into_iter().chain(parts) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// The SHA-256 of a text, in hex: for keeping what has to be recognised but not read.
pub fn hash_text(text: &[u8]) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The key of a request, if it has one.
///
/// # Errors
/// 422 when it is empty, longer than 255 characters, or sent more than once.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<&[u8]>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    if key.is_empty() || key.len() > KEY_CHARACTERS || keys.next().is_some() {
        let detail = format!("must be sent once, with 1 to {KEY_CHARACTERS} characters");
        return Err(Problem::invalid("Idempotency-Key", detail));
    }
    Ok(Some(key.as_bytes()))
}

fn known(row: &QueryResult, content: [u8; 32]) -> Result<Known, Problem> {
    let stored: Vec<u8> = row.try_get_by_index(0).map_err(Error::from)?;
    if stored != content {
        return Err(Problem::invalid(
            "Idempotency-Key",
            "was used for another request; use a new one for each",
        ));
    }
    let Some(status) = row.try_get_by_index::<Option<i32>>(1).map_err(Error::from)? else {
        return Ok(Known::New);
    };
    let content_type: Option<String> = row.try_get_by_index(2).map_err(Error::from)?;
    let reply: Option<String> = row.try_get_by_index(3).map_err(Error::from)?;
    let mut response = Response::new(Body::from(reply.unwrap_or_default()));
    *response.status_mut() = u16::try_from(status)
        .ok()
        .and_then(|status| StatusCode::from_u16(status).ok())
        .ok_or_else(|| Error::internal(format!("a kept reply has the status {status}")))?;
    if let Some(value) = content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    Ok(Known::Replied(response))
}
