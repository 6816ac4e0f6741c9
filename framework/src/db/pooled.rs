//! Write transactions on a server: each on its own connection, concurrently with others.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use sea_orm::DbErr;
use sea_orm::sqlx::{self, Executor as _, Postgres, Row as _};
use tokio::sync::Semaphore;

use super::availability::Availability;
use super::connections::{Connections, query_error};
use super::{Transaction, WORK_DEADLINE};
use crate::error::{Error, Result, is_broken};

/// Maximum writes to one database that run or wait for a connection; one more is refused.
const WRITES: usize = 1024;

/// A handle on the pool for writes.
#[derive(Clone)]
pub(super) struct Pooled(Arc<Inner>);

struct Inner {
    name: String,
    connections: Connections<Postgres>,
    server: Availability,
    places: Arc<Semaphore>,
}

impl fmt::Debug for Pooled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooled").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Pooled {
    pub(super) fn new(name: &str, connections: Connections<Postgres>, server: Availability) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            connections,
            server,
            places: Arc::new(Semaphore::new(WRITES)),
        }))
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        self.0.connections.close().await
    }

    /// As [`super::Database::write_after`].
    pub(super) async fn write<R, F, Done>(&self, first: Option<String>, work: F) -> Result<R>
    where
        F: FnOnce(Transaction, Option<String>) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        let name = &self.0.name;
        let place = self
            .0
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::overloaded(format!("too many writes wait for {name}; try again")))?;
        let this = self.clone();
        // Spawned, so that it completes even if its caller is dropped.
        let task = tokio::spawn(async move {
            let result = AssertUnwindSafe(this.run(first, work)).catch_unwind().await;
            drop(place);
            result
        });
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal(format!("a write to {name} panicked and was undone"))),
            Err(_) => Err(Error::unavailable(format!("the process ended before {name} answered"))),
        }
    }

    async fn run<R, F, Done>(&self, first: Option<String>, work: F) -> Result<R>
    where
        F: FnOnce(Transaction, Option<String>) -> Done,
        Done: Future<Output = Result<R>>,
    {
        let Inner { name, server, .. } = &*self.0;
        let (transaction, answer) = self.begin(first.as_deref()).await?;
        let result = match server.bounded(WORK_DEADLINE, work(transaction.clone(), answer)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                // The failure may be the connection's, which the rollback reveals.
                if let Err(failed) = server.guard(transaction.rollback()).await {
                    tracing::debug!(database = %name, error = %failed, "a write was undone by the end of its connection");
                }
                return Err(error);
            }
            Err(why) => {
                return Err(Error::unavailable(format!("a write to {name} was undone")).because(why));
            }
        };
        match server.guard(transaction.commit()).await {
            Ok(()) => Ok(result),
            // Also after a timeout: the server may have committed since.
            Err(error) if is_broken(&error) || matches!(error, DbErr::Conn(_)) => Err(Error::unconfirmed(
                format!("{name} went away while it committed: it is not known whether anything was changed"),
            )
            .because(error)),
            Err(error) => Err(Error::from(error)),
        }
    }

    /// Begins a transaction, on another connection if the first one is dead: nothing has been done yet.
    async fn begin(&self, first: Option<&str>) -> Result<(Transaction, Option<String>)> {
        let server = &self.0.server;
        if !server.is_down() && !server.is_writable() {
            return Err(Error::unavailable(format!("{} takes no writes at the moment", self.0.name)));
        }
        match server.guard(self.open(first)).await {
            Err(error) if server.is_worth_repeating(&error) => Ok(server.guard(self.open(first)).await?),
            begun => Ok(begun?),
        }
    }

    /// Opens a transaction together with its first query, in one round trip.
    async fn open(&self, first: Option<&str>) -> Result<(Transaction, Option<String>), DbErr> {
        let mut connection = self.0.connections.lease().await?;
        // The server ends a transaction whose process is stalled, too: until then its locks keep others waiting.
        let sql = format!(
            "BEGIN; SET LOCAL idle_in_transaction_session_timeout = {}; {}",
            WORK_DEADLINE.as_millis(),
            first.unwrap_or_default()
        );
        match connection.get().fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str()))).await {
            Ok(rows) => {
                let answer = rows.last().map(|row| row.try_get(0)).transpose().map_err(query_error)?;
                Ok((Transaction::postgres(connection, self.0.server.clone()), answer.flatten()))
            }
            // The connection is closed, because it may be in a transaction.
            Err(error) => Err(query_error(error)),
        }
    }
}
