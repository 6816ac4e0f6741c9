//! Passwords: logging in with one opens a session.
//!
//! The hash of an account's password is on the account's shard, apart from the account's row, which is
//! cached and shown. A log-in takes as long for an unknown name as for a wrong password. A session is
//! opened in a transaction that has locked the hash: after a password was changed or deleted, no session
//! from an earlier log-in remains.
//!
//! Passwords are normalized before they are hashed, so that they don't depend on the keyboard. Hashes from
//! before that are replaced at the next log-in.

use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ConnectionTrait, DbBackend};
use serde::Deserialize;
use utoipa::ToSchema;

use super::known_device::{self, Origin};
use super::password_hash::Hasher;
use super::rate::network_of;
use super::text::normalized_password;
use super::{
    ClientInfo, PasswordHash, RateLimitKey, RateLimits, Session, Sessions, SignedIn, TextFields, hash_text,
};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};
use crate::shard::{Sharded, Shards, Tx};

/// The table of passwords, on their accounts' shards.
pub(super) const MIGRATION: Migration = || {
    let password = Table::create()
        .table("tripod_password")
        .col(ColumnDef::new("account_id").big_integer().not_null().primary_key())
        .col(ColumnDef::new("hash").text().not_null())
        .take();
    CreateTables::new("m20261127_000010_tripod_password").table(password).boxed()
};

/// Passwords of accounts. An account can be any row that logs in; this module only uses its id.
///
/// ```
/// use tripod::id::Id;
/// use tripod::web::{ClientInfo, TextFields};
/// use tripod::{App, Result};
/// # use tripod::conformance::author;
///
/// async fn join(app: &App, client: ClientInfo, row: author::ActiveModel, password: String) -> Result<String> {
///     let mut fields = TextFields::default();
///     fields.password("password", &password);
///     fields.check()?;
///     let hash = app.passwords.hash(password).await?;
/// #   let shard = tripod::id::Shard::of_text("rose");
///     let join = app.write(shard, move |tx| async move {
///         let id = tx.insert(row).await?;
///         tx.set_password(id, hash).await?;
///         tx.open_session(id, &client.device).await
///     });
///     join.await
/// }
///
/// async fn log_in(app: &App, client: ClientInfo, name: &str, password: String) -> Result<String> {
///     let id = app.primary().find_by_name::<author::Entity>(name).await?;
///     Ok(app.passwords.log_in(client, name, id, password).await?.token)
/// }
/// ```
#[derive(Clone)]
pub struct Passwords {
    hasher: Hasher,
    shards: Shards,
    sessions: Sessions,
    limits: RateLimits,
}

/// A successful log-in.
#[derive(Clone, Debug)]
pub struct LoggedIn<A> {
    /// The account.
    pub account: Id<A>,
    /// The token of the session.
    pub token: String,
    /// The token by which the device is known from now on, for
    /// [`SessionCookie::of_device`](super::SessionCookie::of_device). Clients without cookies need none.
    pub device: String,
}

/// The request body to change a password; see [`Passwords::change`].
#[derive(Deserialize, ToSchema)]
#[schema(description = "The current password and the new one.")]
pub struct PasswordChange {
    /// The current password.
    pub current: String,
    /// The new password: 8 to 200 characters.
    #[schema(min_length = 8, max_length = 200)]
    pub new: String,
}

impl Passwords {
    /// The passwords of the accounts on these shards.
    ///
    /// # Errors
    /// Internal, when hashing fails.
    pub fn new(shards: Shards, sessions: Sessions, limits: RateLimits) -> Result<Self> {
        Ok(Self { hasher: Hasher::new()?, shards, sessions, limits })
    }

    /// Hashes a password for [`Tx::set_password`]. Hashing takes about 20 ms of a core and 19 MiB, on as
    /// many threads as there are cores, so do it before the transaction. Check the password's length
    /// with [`TextFields::password`].
    ///
    /// # Errors
    /// Internal, if hashing fails.
    pub async fn hash(&self, password: String) -> Result<PasswordHash> {
        self.hasher.hash(normalized_password(&password)).await
    }

    /// A hash of the text as it is, as it was made before passwords were normalized, for tests.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn hash_as_typed(&self, password: String) -> Result<PasswordHash> {
        self.hasher.hash(password).await
    }

    /// Opens a session for an account if the password is right. `account` is the account with this `name`,
    /// or `None` if there is none, which is answered like a wrong password and takes as long.
    ///
    /// Attempts are limited ([`RequestLimits`](super::RequestLimits)): by name and network, or else by
    /// device, if it has logged in to the account before; by name, from all networks where the account has
    /// not logged in before; and by network. So nobody is locked out at home by others' guesses.
    ///
    /// # Errors
    /// Unauthenticated, when there is no account or the password is wrong; limited, after too many
    /// attempts; those of the database.
    pub async fn log_in<A: 'static>(
        &self,
        client: ClientInfo,
        name: &str,
        account: Option<Id<A>>,
        password: String,
    ) -> Result<LoggedIn<A>> {
        let place = account.map_or_else(|| Shard::of_text(name), Id::shard);
        self.check_attempt(&client, name, place, account.map(Id::raw)).await?;
        let wrong = || Error::unauthenticated("The name or the password is wrong.");
        // Once more, if the hash is replaced meanwhile.
        for _ in 0..2 {
            let stored = self.stored(place, account.map(Id::raw)).await?;
            let matched = self.verify(&password, stored.clone()).await?;
            let (Some(account), Some(verified), Some(matched)) = (account, stored, matched) else {
                return Err(wrong());
            };
            let replacement = match matched {
                Match::Normalized => None,
                Match::AsTyped => Some(self.hash(password.clone()).await?),
            };
            let (sessions, client) = (self.sessions.clone(), client.clone());
            let logged_in = self.shards.write(account, move |tx| async move {
                if !tx.lock_password(account, &verified).await? {
                    return Ok(None);
                }
                if let Some(hash) = replacement {
                    tx.store_password(account.raw(), hash).await?;
                }
                let token = sessions.open(&tx, account, &client.device).await?;
                let device = tx.remember_device(account, &client).await?;
                Ok(Some(LoggedIn { account, token, device }))
            });
            if let Some(logged_in) = logged_in.await? {
                return Ok(logged_in);
            }
        }
        Err(wrong())
    }

    /// Counts an attempt to log in against its limits.
    async fn check_attempt(
        &self,
        client: &ClientInfo,
        name: &str,
        place: Shard,
        account: Option<i64>,
    ) -> Result<()> {
        let limits = self.limits.of_requests();
        self.limits.check(limits.log_ins_of_network, client.address).await?;
        let origin = known_device::origin(&self.shards, place, account, client).await?;
        if let (Origin::Device(device), Some(account)) = (origin, account) {
            return self.limits.check(limits.log_ins_by_name, RateLimitKey::Device(account, device)).await;
        }
        // A name is untrusted text of any length.
        let name = hash_text(name.as_bytes());
        let here = RateLimitKey::NameOnNetwork(name.clone(), network_of(client.address));
        self.limits.check(limits.log_ins_by_name, here).await?;
        match origin {
            Origin::Elsewhere => {
                self.limits.check(limits.log_ins_from_elsewhere, RateLimitKey::Name(name)).await
            }
            _ => Ok(()),
        }
    }

    /// How a password matches a hash, if it does. Without a hash this takes as long.
    async fn verify(&self, password: &str, stored: Option<PasswordHash>) -> Result<Option<Match>> {
        let normalized = normalized_password(password);
        let is_normalized = normalized == password;
        if self.hasher.verify(normalized, stored.clone()).await? {
            return Ok(Some(Match::Normalized));
        }
        if !is_normalized && self.hasher.verify(password.to_owned(), stored).await? {
            return Ok(Some(Match::AsTyped));
        }
        Ok(None)
    }

    /// Changes the password of the signed-in account, and closes its other sessions.
    ///
    /// # Errors
    /// Invalid, naming `current` or `new`; limited, after too many attempts; any error of the database.
    pub async fn change(&self, SignedIn(session): &SignedIn, change: PasswordChange) -> Result<()> {
        let (account, this) = (Id::<()>::from_raw(session.account), session.id);
        let limit = self.limits.of_requests().log_ins_by_name;
        self.limits.check(limit, RateLimitKey::Account(session.account)).await?;
        let mut fields = TextFields::default();
        fields.password("new", &change.new);
        fields.check()?;
        let wrong = || Error::invalid_field("current", "is not your password");
        let stored = self.stored(account.shard(), Some(account.raw())).await?;
        let matched = self.verify(&change.current, stored.clone()).await?;
        let (Some(verified), Some(_)) = (stored, matched) else { return Err(wrong()) };
        let (new, sessions) = (self.hash(change.new).await?, self.sessions.clone());
        let change = self.shards.write(account, move |tx| async move {
            if !tx.lock_password(account, &verified).await? {
                return Err(wrong());
            }
            tx.store_password(account.raw(), new).await?;
            sessions.close_others(&tx, account.raw(), this).await
        });
        change.await
    }

    /// The hash of an account's password. Without an account it still queries the database, so that it
    /// takes as long.
    async fn stored(&self, shard: Shard, account: Option<i64>) -> Result<Option<PasswordHash>> {
        const NOBODY: i64 = -1;
        let (reader, sql) =
            (self.shards.reader(shard), "SELECT hash FROM tripod_password WHERE account_id = $1");
        let select = statement(reader, sql, [account.unwrap_or(NOBODY).into()]);
        let row = reader.query_one_raw(select).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.map(PasswordHash))
    }
}

/// How a password matches its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    /// In its normalized form.
    Normalized,
    /// As it was typed: the hash is from before passwords were normalized.
    AsTyped,
}

impl Tx {
    /// Sets the password of an account on this shard, replacing the old one, if any. Its sessions stay
    /// open: see [`Self::close_sessions`].
    ///
    /// # Errors
    /// Absent, if there is no such account; internal, if it is on another shard; any error of the
    /// database.
    pub async fn set_password<A: Sharded>(&self, account: Id<A>, hash: PasswordHash) -> Result<()> {
        self.require(account).await?;
        self.store_password(account.raw(), hash).await
    }

    async fn store_password(&self, account: i64, hash: PasswordHash) -> Result<()> {
        let sql = "INSERT INTO tripod_password (account_id, hash) VALUES ($1, $2) \
                   ON CONFLICT (account_id) DO UPDATE SET hash = excluded.hash";
        let values = [account.into(), hash.0.into()];
        self.connection().execute_raw(statement(self.connection(), sql, values)).await?;
        Ok(())
    }

    /// Deletes an account's password, closes its sessions and forgets its devices, so that no one can log in
    /// to it any more.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn delete_password<A>(&self, account: Id<A>) -> Result<()> {
        let sql = "DELETE FROM tripod_password WHERE account_id = $1";
        self.connection().execute_raw(statement(self.connection(), sql, [account.into()])).await?;
        self.forget_devices(account).await?;
        // After the deletion: a log-in that had locked the password has opened its session by now.
        self.close_sessions(account).await
    }

    /// Whether this is still the account's password. If so, it is locked until the transaction ends.
    async fn lock_password<A>(&self, account: Id<A>, verified: &PasswordHash) -> Result<bool> {
        // SQLite has a single writer, so no lock is needed.
        let lock = match self.connection().get_database_backend() {
            DbBackend::Postgres => " FOR UPDATE",
            _ => "",
        };
        let sql = format!("SELECT 1 FROM tripod_password WHERE account_id = $1 AND hash = $2{lock}");
        let select = statement(self.connection(), &sql, [account.into(), verified.0.clone().into()]);
        Ok(self.connection().query_one_raw(select).await?.is_some())
    }
}

impl Sessions {
    /// Closes all sessions of an account except this one, in the transaction.
    async fn close_others(&self, tx: &Tx, account: i64, this: Id<Session>) -> Result<()> {
        let sql = "DELETE FROM tripod_session WHERE account_id = $1 AND id <> $2 RETURNING id";
        self.delete(tx, sql, [account.into(), this.into()]).await.map(drop)
    }
}
