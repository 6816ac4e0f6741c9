//! Sessions: opaque tokens that locate their own shard. Only a hash of each is stored.
//!
//! A token is the session's id and 256 random bits. The id locates the row, wherever its account lives;
//! the bits prove ownership. Read access to the database yields no tokens. Deleting the row revokes the
//! token everywhere at once.
//!
//! Sessions are cached like rows: a request with a token needs no database read, and a closed session is
//! closed within 100 ms in every process. Only if the closing process can't reach Redis may others
//! accept the token for up to a minute.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use sea_orm::sea_query::{ColumnDef, Expr, Index, Query, Table};
use sea_orm::{ConnectionTrait, ExprTrait, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::cache::{Batch, Region, RegionConfig};
use crate::db::{CreateTables, Database, Migration, statement};
use crate::error::Result;
use crate::id::Id;
use crate::shard::{RowTable, Sharded, Shards, Tx};

/// The sessions, on their accounts' shards.
pub(super) const MIGRATION: Migration = || {
    let session = Table::create()
        .table("tripod_session")
        .col(ColumnDef::new("id").big_integer().not_null().primary_key())
        .col(ColumnDef::new("account_id").big_integer().not_null())
        .col(ColumnDef::new("secret_hash").binary().not_null())
        .col(ColumnDef::new("device").text().not_null())
        .take();
    let of_account = Index::create()
        .name("tripod_session_of_account")
        .table("tripod_session")
        .col("account_id")
        .col("id")
        .take();
    CreateTables::new("m20261122_000005_tripod_session").table(session).index(of_account).boxed()
};

/// Where sessions are found by their ids.
pub(super) const SESSIONS: RowTable = RowTable { name: "tripod_session", id: "id" };

/// The prefix of tokens, so that a leaked one can be recognised.
const PREFIX: &str = "tri_";
/// Maximum number of sessions per account, unless the app sets another.
pub(crate) const DEFAULT_PER_ACCOUNT: u32 = 100;
const SECRET_BYTES: usize = 32;
/// How long a session is cached at most, if no invalidation arrives.
const TTL: Duration = Duration::from_secs(60);
/// Increment this when [`Stored`] changes its shape.
const VERSION: u64 = 1;
/// Maximum length of a device's description, in characters.
const DEVICE_CHARACTERS: usize = 200;

/// A signed-in device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The session's id, on the account's shard.
    pub id: Id<Self>,
    /// The account's id; its type is the app's.
    pub account: i64,
    /// The device's `User-Agent`.
    pub device: String,
}

/// Opens, finds and closes sessions; clones share everything.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    shards: Shards,
    stored: Region<Stored>,
    per_account: u32,
}

impl Tx {
    /// Opens a session for an account in this transaction and returns its token; see [`Sessions::open`].
    ///
    /// # Errors
    /// Absent, if there is no such account; those of [`Sessions::open`].
    pub async fn open_session<A: Sharded>(&self, account: Id<A>, device: &str) -> Result<String> {
        self.require(account).await?;
        Sessions(self.shards().service::<Inner>()?).open(self, account, device).await
    }

    /// Closes all sessions of an account in this transaction; see [`Sessions::close_all`].
    ///
    /// # Errors
    /// Those of [`Sessions::close_all`].
    pub async fn close_sessions<A>(&self, account: Id<A>) -> Result<()> {
        Sessions(self.shards().service::<Inner>()?).close_all(self, account.raw()).await
    }
}

/// A session's row.
#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    account: i64,
    device: String,
    /// Base64.
    secret_hash: String,
}

impl Sessions {
    /// The sessions of these shards, read through their cache. An account has at most `per_account`; one
    /// more closes the oldest.
    ///
    /// # Panics
    /// When called twice for the same shards.
    pub fn new(shards: Shards, per_account: u32) -> Self {
        let loaded = shards.clone();
        let config = RegionConfig { name: "tripod.session".to_owned(), version: VERSION, ttl: TTL };
        let stored = Region::new(shards.cache(), config, move |ids| {
            let shards = loaded.clone();
            async move { load(&shards, ids).await }
        });
        let inner = Arc::new(Inner { shards: shards.clone(), stored, per_account });
        shards.provide(&inner);
        Self(inner)
    }

    /// Opens a session in the transaction and returns its token, which is not stored. The token is valid
    /// once the transaction has committed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open<A>(&self, tx: &Tx, account: Id<A>, device: &str) -> Result<String> {
        let secret: [u8; SECRET_BYTES] = rand::random();
        let device: String = device.chars().filter(|c| !c.is_control()).take(DEVICE_CHARACTERS).collect();
        let hash = hash(&secret).to_vec();
        let sql = "INSERT INTO tripod_session (id, account_id, secret_hash, device) VALUES ($1, $2, $3, $4)";
        let id: Id<Session> = tx
            .insert_raw(sql, |id| vec![id.into(), account.into(), hash.clone().into(), device.clone().into()])
            .await?;
        // A guess at this id may have been looked up already: its absence is cached too.
        tx.changes(self.0.stored.changed(id.raw()));
        let oldest = "DELETE FROM tripod_session WHERE account_id = $1 AND id NOT IN \
                      (SELECT id FROM tripod_session WHERE account_id = $1 ORDER BY id DESC LIMIT $2) RETURNING id";
        self.delete(tx, oldest, [account.into(), i64::from(self.0.per_account).into()]).await?;
        let mut token = id.raw().to_be_bytes().to_vec();
        token.extend(secret);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)))
    }

    /// The session of a token; `None` if the token is malformed, wrong or revoked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, token: &str) -> Result<Option<Session>> {
        let Some((id, secret)) = decode(token) else { return Ok(None) };
        let Some(stored) = self.0.stored.get(id.raw()).await? else { return Ok(None) };
        let secret_hash = URL_SAFE_NO_PAD.decode(&stored.secret_hash).unwrap_or_default();
        let proven: bool = hash(&secret).as_slice().ct_eq(&secret_hash).into();
        Ok(proven.then(|| Session { id, account: stored.account, device: stored.device.clone() }))
    }

    /// Deletes the sessions that `sql` deletes and returns.
    pub(super) async fn delete(
        &self,
        tx: &Tx,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<u64> {
        let rows = tx.connection().query_all_raw(statement(tx.connection(), sql, values)).await?;
        for row in &rows {
            tx.changes(self.0.stored.changed(row.try_get_by_index(0)?));
        }
        Ok(rows.len() as u64)
    }

    /// An account's sessions, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, account: i64) -> Result<Vec<Session>> {
        let reader = self.0.shards.reader(Id::<()>::from_raw(account).shard());
        let sql = "SELECT id, account_id, device FROM tripod_session WHERE account_id = $1 ORDER BY id DESC";
        reader.query_all_raw(statement(reader, sql, [account.into()])).await?.iter().map(session).collect()
    }

    /// Closes one of an account's sessions; returns whether it was open.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(&self, account: i64, session: Id<Session>) -> Result<bool> {
        let sessions = self.clone();
        self.0
            .shards
            .write(Id::<()>::from_raw(account), move |tx| async move {
                // Invalidate the cached session, too.
                tx.changes(sessions.0.stored.changed(session.raw()));
                let sql = "DELETE FROM tripod_session WHERE account_id = $1 AND id = $2 RETURNING id";
                Ok(sessions.delete(&tx, sql, [account.into(), session.into()]).await? == 1)
            })
            .await
    }

    /// Closes all of an account's sessions in the transaction; its tokens become invalid at the commit.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_all(&self, tx: &Tx, account: i64) -> Result<()> {
        let sql = "DELETE FROM tripod_session WHERE account_id = $1 RETURNING id";
        self.delete(tx, sql, [account.into()]).await.map(drop)
    }
}

/// One query per physical database, all at once.
async fn load(shards: &Shards, ids: Vec<i64>) -> Vec<Batch<Stored>> {
    let ids: Vec<Id<()>> = ids.into_iter().map(Id::from_raw).collect();
    let queries = shards.by_database(&ids).into_iter().map(async |(database, asked)| {
        let found = load_from(database, &asked).await;
        Batch { asked: asked.iter().map(|id| id.raw()).collect(), found }
    });
    join_all(queries).await
}

async fn load_from(database: &Database, ids: &[Id<()>]) -> Result<Vec<(i64, Stored)>> {
    let found = Query::select()
        .columns(["id", "account_id", "device", "secret_hash"])
        .from("tripod_session")
        .and_where(Expr::col("id").is_in(ids.iter().copied()))
        .take();
    let rows = database.reader().query_all(&found).await?;
    let stored = rows.iter().map(|row| {
        let hash: Vec<u8> = row.try_get_by_index(3)?;
        let (account, device) = (row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        Ok((row.try_get_by_index(0)?, Stored { account, device, secret_hash: URL_SAFE_NO_PAD.encode(hash) }))
    });
    stored.collect()
}

fn session(row: &sea_orm::QueryResult) -> Result<Session> {
    Ok(Session {
        id: row.try_get_by_index(0)?,
        account: row.try_get_by_index(1)?,
        device: row.try_get_by_index(2)?,
    })
}

/// The secret has 256 random bits, so it can't be found by brute force: a plain hash is enough, without
/// salt.
fn hash(secret: &[u8; SECRET_BYTES]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

fn decode(token: &str) -> Option<(Id<Session>, [u8; SECRET_BYTES])> {
    let bytes = URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?;
    let (id, secret) = bytes.split_first_chunk::<8>()?;
    let id = i64::from_be_bytes(*id);
    (id >= 0).then(|| Some((Id::from_raw(id), secret.try_into().ok()?)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_token_is_refused_without_asking_the_database() {
        let negative = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([0xff; 40]));
        let short = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([0; 39]));
        let long = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([0; 41]));
        for bad in ["", "tri_", "tri_!!!", "Bearer", &negative, &short, &long] {
            assert!(decode(bad).is_none(), "{bad:?} was taken");
        }
        assert!(decode(&format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([0; 40]))).is_some());
    }
}
