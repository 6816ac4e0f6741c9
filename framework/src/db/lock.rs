//! A lock that processes hold in a database, whoever started them and wherever they run.

use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait, Value};

use super::{Database, statement};
use crate::error::{Error, Result};

/// Tells our advisory locks from those of others in the same database: "trip".
const NAMESPACE: i32 = 0x7472_6970;

/// A lock, held until this is dropped or its process ends.
///
/// On PostgreSQL it is an advisory lock of a transaction that does nothing else: such a one passes a
/// pooler, unlike a session's. An embedded database needs none, as one process has it for itself.
#[derive(Debug)]
pub struct Lock {
    held: Option<DatabaseTransaction>,
}

impl Database {
    /// Waits for the lock of this number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock(&self, number: i32) -> Result<Lock> {
        if self.is_embedded() {
            return Ok(Lock { held: None });
        }
        let held = self.connection.begin().await?;
        let sql = "SELECT pg_advisory_xact_lock($1, $2)";
        held.execute_raw(statement(&held, sql, key(number))).await?;
        Ok(Lock { held: Some(held) })
    }

    /// The lock of this number, if nobody has it.
    ///
    /// # Errors
    /// Those of the database.
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
    /// The transaction that holds it, to commit with it.
    pub(super) fn into_transaction(self) -> Option<DatabaseTransaction> {
        self.held
    }

    /// Whether it is still held: it is lost with its connection.
    ///
    /// # Errors
    /// Unavailable, when it was lost.
    pub async fn check(&self) -> Result<()> {
        match &self.held {
            None => Ok(()),
            Some(held) => held.execute_unprepared("SELECT 1").await.map(drop).map_err(|error| {
                Error::unavailable("the lock of this process in the database was lost").because(error)
            }),
        }
    }
}
