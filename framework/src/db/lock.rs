//! A lock that processes hold in a database, wherever they run.

use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait, Value};

use super::{Database, statement};
use crate::error::{Error, Result};

/// Separates our advisory locks from others in the same database: "trip".
const NAMESPACE: i32 = 0x7472_6970;

/// A lock, held until this is dropped or its process ends.
///
/// On PostgreSQL it is the advisory lock of a transaction that does nothing else: unlike a session's
/// lock, it works through a pooler. An embedded database needs no lock, because one process has it to
/// itself.
#[derive(Debug)]
pub struct Lock {
    held: Option<DatabaseTransaction>,
}

impl Database {
    /// Waits for the lock with this number.
    ///
    /// # Errors
    /// Any database error.
    pub async fn lock(&self, number: i32) -> Result<Lock> {
        if self.is_embedded() {
            return Ok(Lock { held: None });
        }
        let held = self.connection.begin().await?;
        let sql = "SELECT pg_advisory_xact_lock($1, $2)";
        held.execute_raw(statement(&held, sql, key(number))).await?;
        Ok(Lock { held: Some(held) })
    }

    /// The lock with this number, if it is free.
    ///
    /// # Errors
    /// Any database error.
    pub async fn try_lock(&self, number: i32) -> Result<Option<Lock>> {
        if self.is_embedded() {
            return Ok(Some(Lock { held: None }));
        }
        let held = self.connection.begin().await?;
        let sql = "SELECT pg_try_advisory_xact_lock($1, $2)";
        let row = held.query_one_raw(statement(&held, sql, key(number))).await?;
        let taken = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false);
        Ok(taken.then_some(Lock { held: Some(held) }))
    }
}

fn key(number: i32) -> [Value; 2] {
    [NAMESPACE.into(), number.into()]
}

impl Lock {
    /// The transaction that holds the lock, to commit with it.
    pub(super) fn into_transaction(self) -> Option<DatabaseTransaction> {
        self.held
    }

    /// Checks that the lock is still held: it is lost with its connection.
    ///
    /// # Errors
    /// Unavailable, if it was lost.
    pub async fn check(&self) -> Result<()> {
        match &self.held {
            None => Ok(()),
            Some(held) => held.execute_unprepared("SELECT 1").await.map(drop).map_err(|error| {
                Error::unavailable("the lock of this process in the database was lost").because(error)
            }),
        }
    }
}
