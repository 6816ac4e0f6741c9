//! Waiting for the writes that have begun.

use std::collections::HashSet;
use std::time::Duration;

use futures::future::try_join_all;
use sea_orm::ConnectionTrait;

use super::Shards;
use crate::db::{Database, WORK_DEADLINE, statement};
use crate::error::{Error, Result};

/// The pause between two looks at a server's open writes.
const PAUSE: Duration = Duration::from_millis(20);

impl Shards {
    /// Waits until every write transaction that has begun, in any process, has ended. A job that looks for
    /// what a closed session or a deleted row has left calls this first: a write that found the session open
    /// is visible then, and a later one finds it closed.
    ///
    /// # Errors
    /// Those of the databases; unavailable, if a write does not end in time.
    pub async fn settle(&self) -> Result<()> {
        try_join_all(self.databases().iter().map(settle)).await.map(drop)
    }
}

async fn settle(database: &Database) -> Result<()> {
    if database.is_embedded() {
        // The writer takes one write after the other.
        return database.write(|_| async { Ok(()) }).await;
    }
    let mut waited = Duration::ZERO;
    let mut left = open_writes(database).await?;
    while !left.is_empty() {
        if waited > WORK_DEADLINE * 2 {
            let name = database.name();
            return Err(Error::unavailable(format!("{} writes to {name} do not end", left.len())));
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
        let open = open_writes(database).await?;
        left.retain(|write| open.contains(write));
    }
    Ok(())
}

/// The transactions that have passed the fence of a shard of this database and have not ended.
async fn open_writes(database: &Database) -> Result<HashSet<String>> {
    let sql = "SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'advisory' AND granted \
               AND classid = 1953655142 AND mode = 'ShareLock' \
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let reader = database.reader();
    let rows = reader.query_all_raw(statement(reader, sql, [])).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}
