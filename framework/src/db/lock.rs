//! A lock that processes hold in a database, wherever they run.

use sea_orm::{ConnectionTrait, DatabaseTransaction, TransactionTrait, Value};

use super::availability::{Availability, History};
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
    /// The server, and the history that it continued when the lock was taken.
    server: Option<(Availability, History)>,
}

impl Database {
    /// Waits for the lock with this number.
    ///
    /// # Errors
    /// Any database error.
    pub async fn lock(&self, number: i32) -> Result<Lock> {
        if self.is_embedded() {
            return Ok(Lock { held: None, server: None });
        }
        let server = self.server();
        let held = self.connection.begin().await?;
        let sql = "SELECT pg_advisory_xact_lock($1, $2)";
        held.execute_raw(statement(&held, sql, key(number))).await?;
        Ok(Lock { held: Some(held), server })
    }

    /// The lock with this number, if it is free.
    ///
    /// # Errors
    /// Any database error.
    pub async fn try_lock(&self, number: i32) -> Result<Option<Lock>> {
        if self.is_embedded() {
            return Ok(Some(Lock { held: None, server: None }));
        }
        let server = self.server();
        let held = self.connection.begin().await?;
        let sql = "SELECT pg_try_advisory_xact_lock($1, $2)";
        let row = held.query_one_raw(statement(&held, sql, key(number))).await?;
        let taken = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(false);
        Ok(taken.then_some(Lock { held: Some(held), server }))
    }

    fn server(&self) -> Option<(Availability, History)> {
        self.reader.availability().map(|server| (server.clone(), server.history().borrow().clone()))
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

    /// Gives the lock back, and its connection: dropping it does so a little later.
    ///
    /// # Errors
    /// Any database error.
    pub async fn release(self) -> Result<()> {
        if let Some(held) = self.held {
            held.rollback().await?;
        }
        Ok(())
    }

    /// Checks that the lock is still held: it is lost with its connection, or when another server takes
    /// the place of the one that it is held on.
    ///
    /// # Errors
    /// Unavailable, if it was lost.
    pub async fn check(&self) -> Result<()> {
        if self.server.as_ref().is_some_and(|(server, history)| *server.history().borrow() != *history) {
            return Err(Error::unavailable("the lock of this process is held on a server that was replaced"));
        }
        match &self.held {
            None => Ok(()),
            Some(held) => held.execute_unprepared("SELECT 1").await.map(drop).map_err(|error| {
                Error::unavailable("the lock of this process in the database was lost").because(error)
            }),
        }
    }
}
