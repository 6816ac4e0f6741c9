//! Deleting idempotency keys: those past their retention, and those of an account that is gone.

use futures::future::try_join_all;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use super::once::RETENTION_MS;
use crate::db::{Database, statement};
use crate::error::{BoxError, Error, Result};
use crate::id::{Id, Shard};
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Shards, Tx};

/// Keys deleted per transaction.
const EXPIRE_BATCH: i64 = 1_000;

/// Deletes keys past their retention from every database; returns how many. Expired keys have no effect
/// any more, so this only frees space.
///
/// # Errors
/// Those of the databases.
pub async fn expire_keys(shards: &Shards) -> Result<u64> {
    let oldest_ms = shards.clock().now_ms() as i64 - RETENTION_MS;
    let mut expired = 0;
    for database in shards.databases() {
        loop {
            let deleted = database.write(move |transaction| async move {
                let sql = "DELETE FROM tripod_idempotency_key WHERE (shard, account_id, key_hash) IN \
                           (SELECT shard, account_id, key_hash FROM tripod_idempotency_key \
                            WHERE created_at_ms <= $1 ORDER BY created_at_ms LIMIT $2)";
                let values = [oldest_ms.into(), EXPIRE_BATCH.into()];
                Ok(transaction.execute_raw(statement(&transaction, sql, values)).await?.rows_affected())
            });
            let deleted = deleted.await?;
            expired += deleted;
            if deleted < EXPIRE_BATCH as u64 {
                break;
            }
        }
    }
    Ok(expired)
}

/// The job that deletes expired keys; every app runs it hourly.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExpireKeys {}

impl Job for ExpireKeys {
    const NAME: &'static str = "tripod.expire_keys";
    const RETRIES: u32 = 3;
}

impl<C: Send + Sync + 'static> Run<C> for ExpireKeys {
    async fn run(&mut self, _: &C, run: &JobRun) -> Result<(), BoxError> {
        expire_keys(run.shards()).await?;
        Ok(())
    }
}

/// The job that deletes the keys of an account that is gone, on every shard that it has written to.
#[derive(Debug, Serialize, Deserialize)]
pub struct ForgetKeys {
    account: i64,
}

impl Job for ForgetKeys {
    const NAME: &'static str = "tripod.forget_keys";
    const RETRIES: u32 = 20;
}

impl<C: Send + Sync + 'static> Run<C> for ForgetKeys {
    async fn run(&mut self, _: &C, run: &JobRun) -> Result<(), BoxError> {
        let (shards, account) = (run.shards(), self.account);
        // A write that found the account's session open may still be storing its key.
        shards.settle().await?;
        let places =
            try_join_all(shards.databases().iter().map(|database| places(database, account))).await?;
        for shard in places.into_iter().flatten() {
            let forget = shards.write(shard, move |tx| async move {
                let sql = "DELETE FROM tripod_idempotency_key WHERE shard = $1 AND account_id = $2";
                tx.execute(sql, [(shard.number() as i16).into(), account.into()]).await
            });
            forget.await?;
        }
        Ok(())
    }
}

/// The shards of a database with keys of an account. It reads all keys, of a day: accounts are rarely
/// deleted, and an index would cost every write.
async fn places(database: &Database, account: i64) -> Result<Vec<Shard>> {
    let reader = database.reader();
    let sql = "SELECT DISTINCT shard FROM tripod_idempotency_key WHERE account_id = $1";
    let rows = reader.query_all_raw(statement(reader, sql, [account.into()])).await?;
    let shards = rows.iter().map(|row| {
        let number: i16 = row.try_get_by_index(0)?;
        let number =
            u16::try_from(number).map_err(|_| Error::internal(format!("a key is on shard {number}")))?;
        Shard::new(number)
    });
    shards.collect()
}

impl Tx {
    /// Deletes everything that the framework keeps for an account of this shard, when the account is deleted:
    /// its password and its sessions now, and its idempotency keys by a job. From then on nobody can log in
    /// to it, and no request of its sessions writes anything ([`Once::write`](super::Once::write)). Call it
    /// before the account's row is changed or deleted: requests lock their sessions first, too, and on a
    /// server two transactions that lock in different orders would wait for each other.
    ///
    /// # Errors
    /// As for [`Self::delete_password`] and [`Self::enqueue`].
    pub async fn forget_account<A>(&self, account: Id<A>) -> Result<()> {
        self.delete_password(account).await?;
        self.enqueue(ForgetKeys { account: account.raw() }).await.map(drop)
    }
}
