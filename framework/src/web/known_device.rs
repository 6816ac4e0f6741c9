//! Where an account has logged in before: its devices and its networks.
//!
//! Guesses at a password are limited for each network, and for all networks together. The second limit would
//! let anyone lock an owner out, so it does not concern devices and networks that the owner has used. A
//! browser proves that it is such a device by a cookie, which is no session and gives access to nothing.
//! Only hashes are stored.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use sha2::{Digest, Sha256};

use super::ClientInfo;
use super::rate::network_of;
use crate::db::{CreateTables, Migration, statement};
use crate::error::Result;
use crate::id::{Id, Shard};
use crate::shard::{Shards, Tx};

/// The table of devices and networks, on their accounts' shards.
pub(super) const MIGRATION: Migration = || {
    let known = Table::create()
        .table("tripod_known_device")
        .col(ColumnDef::new("account_id").big_integer().not_null())
        .col(ColumnDef::new("hash").binary().not_null())
        .col(ColumnDef::new("used_at_ms").big_integer().not_null())
        .primary_key(Index::create().col("account_id").col("hash"))
        .take();
    CreateTables::new("m20261128_000012_tripod_known_device").table(known).boxed()
};

/// Maximum devices and networks per account; one more replaces the one that was not used for longest.
const PER_ACCOUNT: i64 = 50;
/// How long a device or a network stays known after the last log-in from it.
const RETENTION_MS: i64 = 90 * 24 * 3_600 * 1_000;
/// The query's account where there is none, so that it takes as long.
const NOBODY: i64 = -1;

/// Where a log-in comes from, as far as its account knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A device that has logged in to the account before, by the hash of its token.
    Device([u8; 32]),
    /// Another device, on a network from which the account has logged in before.
    Network,
    /// Neither.
    Elsewhere,
}

/// Hashed with the account, so that the same network looks different for each.
fn hash(account: i64, kind: u8, value: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(account.to_be_bytes())
        .chain_update([kind])
        .chain_update(value)
        .finalize()
        .into()
}

fn hash_of_device(account: i64, token: &str) -> [u8; 32] {
    hash(account, b'd', token.as_bytes())
}

fn hash_of_network(account: i64, address: IpAddr) -> [u8; 32] {
    hash(account, b'n', &network_of(address))
}

/// Where a log-in to this account comes from.
pub(super) async fn origin(
    shards: &Shards,
    shard: Shard,
    account: Option<i64>,
    client: &ClientInfo,
) -> Result<Origin> {
    let account = account.unwrap_or(NOBODY);
    let device = hash_of_device(account, client.known_device.as_deref().unwrap_or_default());
    let network = hash_of_network(account, client.address);
    let oldest_ms = shards.clock().now_ms() as i64 - RETENTION_MS;
    let reader = shards.reader(shard);
    let sql =
        "SELECT hash FROM tripod_known_device WHERE account_id = $1 AND hash IN ($2, $3) AND used_at_ms > $4";
    let values = [account.into(), device.to_vec().into(), network.to_vec().into(), oldest_ms.into()];
    let rows = reader.query_all_raw(statement(reader, sql, values)).await?;
    let known: Vec<Vec<u8>> = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    Ok(if known.iter().any(|hash| hash[..] == device) {
        Origin::Device(device)
    } else if known.is_empty() {
        Origin::Elsewhere
    } else {
        Origin::Network
    })
}

impl Tx {
    /// Remembers the device and the network of a client that has proven to be the account's owner, so that
    /// others' guesses at the password don't lock it out. Returns the device's token, for
    /// [`SessionCookie::of_device`](super::SessionCookie::of_device). [`Passwords::log_in`](super::Passwords::log_in)
    /// does this; call it at sign-up.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn remember_device<A>(&self, account: Id<A>, client: &ClientInfo) -> Result<String> {
        let random = || URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let token = client.known_device.clone().unwrap_or_else(random);
        let account = account.raw();
        let now_ms = self.shards().clock().now_ms() as i64;
        let sql = "INSERT INTO tripod_known_device (account_id, hash, used_at_ms) VALUES ($1, $2, $4), ($1, $3, $4) \
                   ON CONFLICT (account_id, hash) DO UPDATE SET used_at_ms = excluded.used_at_ms";
        let hashes = [hash_of_device(account, &token), hash_of_network(account, client.address)];
        let hashes = hashes.map(|hash| hash.to_vec().into());
        self.execute(sql, [account.into()].into_iter().chain(hashes).chain([now_ms.into()])).await?;
        let oldest = "DELETE FROM tripod_known_device WHERE account_id = $1 AND hash NOT IN \
                      (SELECT hash FROM tripod_known_device WHERE account_id = $1 ORDER BY used_at_ms DESC LIMIT $2)";
        self.execute(oldest, [account.into(), PER_ACCOUNT.into()]).await?;
        Ok(token)
    }

    /// Forgets the devices and networks of an account.
    pub(super) async fn forget_devices<A>(&self, account: Id<A>) -> Result<()> {
        self.execute("DELETE FROM tripod_known_device WHERE account_id = $1", [account.into()])
            .await
            .map(drop)
    }
}
