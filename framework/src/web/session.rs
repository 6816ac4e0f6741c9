//! Sessions: opaque tokens that find their own shard, of which only a hash is kept.
//!
//! A token is the session's id and 256 random bits. The id leads to the row, wherever its account
//! lives; the bits prove the right to it. Reading the database gives nobody a token. Deleting the
//! row revokes the token everywhere at once.
//!
//! Redis, where there is one, is asked first, for a minute from the first request. Whoever closes
//! a session leaves a tombstone there, before the row is deleted where its id is known by then, and
//! after: it sends everyone to the database, and a reader who was slow can't write over it. Only
//! with Redis away while a session is closed may its token be taken on, by what Redis still holds
//! when it is back: until that minute is over.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::db::{CreateTables, Migration, statement};
use crate::error::Result;
use crate::id::Id;
use crate::redis::{Cmd, IDENTITY, Redis, Script, cmd};
use crate::shard::{Shards, Tx};

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

/// What tokens begin with, so that a leaked one is recognised for what it is.
const PREFIX: &str = "tri_";
/// Sessions of an account; one more closes the oldest.
const SESSIONS: i64 = 100;
const SECRET_BYTES: usize = 32;
/// How long Redis is believed about a session.
const BELIEVED_SECONDS: u32 = 60;
/// In the place of a session in Redis: it was closed.
const TOMBSTONE: &str = "-";
/// Characters kept of what a device says it is.
const DEVICE_CHARACTERS: usize = 200;

/// A signed-in device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, on the account's shard.
    pub id: Id<Self>,
    /// The account's id; its type is the app's.
    pub account: i64,
    /// What the device said it is: its `User-Agent`.
    pub device: String,
}

/// Opens, finds and closes sessions; clones share everything.
#[derive(Clone)]
pub struct Sessions {
    shards: Shards,
    redis: Option<Redis>,
    scripts: Arc<Scripts>,
}

/// What Redis says of a session.
enum Remembered {
    Open(Session, Vec<u8>),
    Closed,
    /// Nothing to be believed; on the server of this identity, where one answers.
    Nothing(Option<String>),
}

/// What is under a session's key, and whose server says so.
const LOOK: &str = "return {redis.call('GET', KEYS[1]), identity()}";

/// Writes a session, unless something is there to be believed, or a tombstone, or another server
/// answers than before the database was read: tombstones of the meantime may have been lost with that
/// one. Arguments: the identity then, the session, the seconds until it expires.
const REMEMBER: &str = "
if identity() ~= ARGV[1] then return 0 end
local there = redis.call('GET', KEYS[1])
if there and (there == '-' or string.sub(there, 1, #ARGV[1]) == ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'EX', ARGV[3])
return 1
";

struct Scripts {
    look: Script,
    remember: Script,
}

impl Sessions {
    /// The sessions of these shards, with Redis asked first where there is one.
    pub fn new(shards: Shards, redis: Option<Redis>) -> Self {
        let script = |lua| Script::new(&format!("{IDENTITY}{lua}"));
        let scripts = Arc::new(Scripts { look: script(LOOK), remember: script(REMEMBER) });
        Self { shards, redis, scripts }
    }

    /// Opens a session in the transaction and gives its token, which is never stored: it counts
    /// once the transaction has committed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open<A>(&self, tx: &Tx<'_>, account: Id<A>, device: &str) -> Result<String> {
        let secret: [u8; SECRET_BYTES] = rand::random();
        let device: String = device.chars().filter(|c| !c.is_control()).take(DEVICE_CHARACTERS).collect();
        let hash = hash(&secret).to_vec();
        let sql = "INSERT INTO tripod_session (id, account_id, secret_hash, device) VALUES ($1, $2, $3, $4)";
        let id: Id<Session> = tx
            .claim_id(sql, |id| vec![id.into(), account.into(), hash.clone().into(), device.clone().into()])
            .await?;
        let oldest = "DELETE FROM tripod_session WHERE account_id = $1 AND id NOT IN \
                      (SELECT id FROM tripod_session WHERE account_id = $1 ORDER BY id DESC LIMIT $2) RETURNING id";
        self.delete(tx, oldest, [account.into(), SESSIONS.into()]).await?;
        let mut token = id.raw().to_be_bytes().to_vec();
        token.extend(secret);
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(token)))
    }

    /// The session that a token opens; none when it is malformed, wrong or revoked.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, token: &str) -> Result<Option<Session>> {
        let Some((id, secret)) = decode(token) else { return Ok(None) };
        let remembered = self.remembered(id).await;
        let forgotten_by = match &remembered {
            Remembered::Nothing(identity) => identity.clone(),
            _ => None,
        };
        let (session, stored) = match remembered {
            Remembered::Open(session, stored) => (session, stored),
            Remembered::Closed | Remembered::Nothing(_) => {
                let reader = self.shards.reader(id.shard());
                let sql = "SELECT id, account_id, device, secret_hash FROM tripod_session WHERE id = $1";
                let Some(row) = reader.query_one_raw(statement(reader, sql, [id.into()])).await? else {
                    return Ok(None);
                };
                (session(&row)?, row.try_get_by_index(3)?)
            }
        };
        let proven: bool = hash(&secret).as_slice().ct_eq(&stored).into();
        if !proven {
            return Ok(None);
        }
        if let Some(identity) = forgotten_by {
            self.remember(&session, &stored, &identity).await;
        }
        Ok(Some(session))
    }

    /// What Redis says. Nothing when it is away, too: then nothing can be written there either.
    async fn remembered(&self, id: Id<Session>) -> Remembered {
        let Some(redis) = &self.redis else { return Remembered::Nothing(None) };
        let looked = redis.run::<(Option<String>, String)>(&self.scripts.look, &key(redis, id), &[]).await;
        let Ok((found, identity)) = looked else { return Remembered::Nothing(None) };
        match found {
            Some(text) if text == TOMBSTONE => Remembered::Closed,
            // A replica that became master may have missed a tombstone: it is not believed.
            Some(text) => match text.strip_prefix(&identity).and_then(|text| text.strip_prefix(':')) {
                Some(text) => recall(id, text)
                    .map_or(Remembered::Closed, |(session, stored)| Remembered::Open(session, stored)),
                None => Remembered::Nothing(Some(identity)),
            },
            None => Remembered::Nothing(Some(identity)),
        }
    }

    /// Writes a session to Redis, if that is who was asked for it.
    async fn remember(&self, session: &Session, stored: &[u8], identity: &str) {
        let Some(redis) = &self.redis else { return };
        let text = format!("{}:{}:{}", session.account, URL_SAFE_NO_PAD.encode(stored), session.device);
        let arguments = [identity, &text, &BELIEVED_SECONDS.to_string()];
        if let Err(error) =
            redis.run::<i64>(&self.scripts.remember, &key(redis, session.id), &arguments).await
        {
            tracing::debug!(error = error.chain(), "a session is not remembered");
        }
    }

    /// Deletes the sessions that `sql` says and gives back, and leaves their tombstones.
    async fn delete(&self, tx: &Tx<'_>, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64> {
        let rows = tx.connection().query_all_raw(statement(tx.connection(), sql, values)).await?;
        let closed =
            rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<Id<Session>>, _>>()?;
        let count = closed.len() as u64;
        if let Some(redis) = self.redis.clone().filter(|_| !closed.is_empty()) {
            tx.after_commit(async move { bury(&redis, &closed).await });
        }
        Ok(count)
    }

    /// An account's sessions, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, account: i64) -> Result<Vec<Session>> {
        let reader = self.shards.reader(Id::<()>::from_raw(account).shard());
        let sql = "SELECT id, account_id, device FROM tripod_session WHERE account_id = $1 ORDER BY id DESC";
        reader.query_all_raw(statement(reader, sql, [account.into()])).await?.iter().map(session).collect()
    }

    /// Closes one of an account's sessions; tells whether it was open.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(&self, account: i64, session: Id<Session>) -> Result<bool> {
        if let Some(redis) = &self.redis {
            // Should this process die once the row is deleted, the tombstone is there already.
            bury(redis, &[session]).await;
        }
        let sessions = self.clone();
        self.shards
            .write(Id::<()>::from_raw(account).shard(), move |tx| {
                Box::pin(async move {
                    let sql = "DELETE FROM tripod_session WHERE account_id = $1 AND id = $2 RETURNING id";
                    Ok(sessions.delete(tx, sql, [account.into(), session.into()]).await? == 1)
                })
            })
            .await
    }

    /// Closes all of an account's sessions in the transaction: its tokens end when it commits.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close_all(&self, tx: &Tx<'_>, account: i64) -> Result<()> {
        let sql = "DELETE FROM tripod_session WHERE account_id = $1 RETURNING id";
        self.delete(tx, sql, [account.into()]).await.map(drop)
    }
}

/// Leaves tombstones.
async fn bury(redis: &Redis, sessions: &[Id<Session>]) {
    let set = |id: &Id<Session>| vec![for_a_while(cmd("SET").arg(key(redis, *id)).arg(TOMBSTONE).take())];
    let tombstones: Vec<Vec<Cmd>> = sessions.iter().map(set).collect();
    if let Err(error) = redis.ask_each::<()>(&tombstones).await {
        tracing::warn!(error = error.chain(), "closed sessions may be taken for open for a minute");
    }
}

fn for_a_while(mut set: Cmd) -> Cmd {
    set.arg("EX").arg(BELIEVED_SECONDS).take()
}

fn key(redis: &Redis, id: Id<Session>) -> String {
    redis.key(format_args!("s:{}", id.raw()))
}

/// What [`Sessions::remember`] wrote.
fn recall(id: Id<Session>, text: &str) -> Option<(Session, Vec<u8>)> {
    let mut parts = text.splitn(3, ':');
    let account = parts.next()?.parse().ok()?;
    let stored = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    Some((Session { id, account, device: parts.next()?.to_owned() }, stored))
}

fn session(row: &sea_orm::QueryResult) -> Result<Session> {
    Ok(Session {
        id: row.try_get_by_index(0)?,
        account: row.try_get_by_index(1)?,
        device: row.try_get_by_index(2)?,
    })
}

/// The secret has 256 random bits, so a plain hash can't be searched: no salt, no slow hash.
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
