//! A bounded pool of connections, for reads and for writes to a server.
//!
//! deadpool manages them instead of sqlx's own pool, which checks each connection after every use. On
//! PostgreSQL that is a second round trip per query, on SQLite a second hand-over to the connection's
//! thread; it halves read throughput. Here a connection is returned only after its call has completed,
//! so no check is needed.

use std::time::Duration;

use deadpool::managed::{
    self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType, WeakPool,
};
use sea_orm::sea_query::Values;
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor, IntoArguments};
use sea_orm::{ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;

use super::availability::Availability;
use crate::error::is_broken;

/// Opens connections with these options, and rejects those too old for reuse.
struct Opener<DB: sqlx::Database> {
    options: Options<DB>,
    server: Option<Availability>,
}

/// Connections to a server that are idle for this long are closed, so that others can have them.
const IDLE: Duration = Duration::from_secs(60);
/// How many connections are kept, however idle, so that the next request after a quiet minute need not open
/// one.
const KEPT: usize = 1;
/// The pause between two looks at the idle connections.
const RELEASE_INTERVAL: Duration = Duration::from_secs(5);

type Options<DB> = <<DB as sqlx::Database>::Connection as Connection>::Options;

impl<DB: sqlx::Database> managed::Manager for Opener<DB> {
    type Type = DB::Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<DB::Connection, sqlx::Error> {
        let Some(server) = &self.server else { return self.options.connect().await };
        loop {
            let generation = server.generation();
            let connection = self.options.connect().await?;
            // Otherwise it may lead to the server that was there when it began to be opened.
            if server.generation() == generation {
                return Ok(connection);
            }
        }
    }

    async fn recycle(&self, _: &mut DB::Connection, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        match &self.server {
            Some(server) if !server.is_fresh(metrics.age()) => Err(RecycleError::message("too old")),
            _ => Ok(()),
        }
    }
}

/// The pool; clones share it.
pub(super) struct Connections<DB: sqlx::Database>(Pool<Opener<DB>>);

impl<DB: sqlx::Database> Clone for Connections<DB> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<DB: sqlx::Database> Connections<DB> {
    /// A pool of at most `count` connections, opened on demand. `wait` bounds both the wait for a free
    /// connection and the time to open one.
    pub(super) fn new(
        options: Options<DB>,
        server: Option<Availability>,
        count: usize,
        wait: Duration,
    ) -> Self {
        let is_kept = server.is_some();
        let pool = Pool::builder(Opener { options, server })
            .max_size(count)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(wait))
            // The connection used last is used next: its server process and its caches are warm.
            .queue_mode(managed::QueueMode::Lifo)
            .build();
        let pool = pool.expect("waiting happens in a runtime");
        if is_kept {
            tokio::spawn(release_idle(pool.weak()));
        }
        Self(pool)
    }

    /// Opens the first connection, so that errors show early.
    pub(super) async fn check(&self) -> Result<(), DbErr> {
        self.lease().await?.end(Ok(()))
    }

    pub(super) async fn lease(&self) -> Result<Leased<DB>, DbErr> {
        match self.0.get().await {
            Ok(connection) => Ok(Leased(Some(connection))),
            Err(PoolError::Timeout(TimeoutType::Wait)) => {
                Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))
            }
            Err(PoolError::Closed) => Err(DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed)),
            Err(PoolError::Backend(error)) => Err(DbErr::Conn(RuntimeErr::SqlxError(error.into()))),
            // The connection could not be opened in the time that a caller may wait.
            Err(_) => Err(DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::PoolTimedOut.into()))),
        }
    }

    /// Closes the idle connections one by one, and hands out no more.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let idle = self.0.retain(|_, _| false).removed;
        self.0.close();
        for connection in idle {
            match connection.close().await.map_err(query_error) {
                // Nothing is left to close.
                Err(error) if is_broken(&error) => tracing::debug!(%error, "a connection was lost already"),
                closed => closed?,
            }
        }
        Ok(())
    }
}

/// Closes connections that are idle for long or must not be used again, for as long as the pool exists.
async fn release_idle<DB: sqlx::Database>(pool: WeakPool<Opener<DB>>) {
    loop {
        tokio::time::sleep(RELEASE_INTERVAL).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut size = pool.status().size;
        let released = pool.retain(|_, metrics| {
            let is_fresh = pool.manager().server.as_ref().is_none_or(|server| server.is_fresh(metrics.age()));
            let is_kept = is_fresh && (metrics.last_used() < IDLE || size <= KEPT);
            size -= usize::from(!is_kept);
            is_kept
        });
        for connection in released.removed {
            // A server that was replaced may not answer.
            tokio::spawn(tokio::time::timeout(RELEASE_INTERVAL, connection.close()));
        }
    }
}

impl<DB> Connections<DB>
where
    DB: sqlx::Database,
    SqlxValues: IntoArguments<DB>,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    QueryResult: From<DB::Row>,
    ExecResult: From<DB::QueryResult>,
{
    pub(super) async fn execute(&self, statement: &Statement) -> Result<ExecResult, DbErr> {
        let mut connection = self.lease().await?;
        let result = query(statement).execute(connection.get()).await;
        connection.end(result).map(ExecResult::from)
    }

    pub(super) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut connection = self.lease().await?;
        let result = connection.get().execute(AssertSqlSafe(sql)).await;
        connection.end(result).map(ExecResult::from)
    }

    pub(super) async fn query_one(&self, statement: &Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut connection = self.lease().await?;
        let result = query(statement).fetch_optional(connection.get()).await;
        Ok(connection.end(result)?.map(QueryResult::from))
    }

    pub(super) async fn query_all(&self, statement: &Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut connection = self.lease().await?;
        let result = query(statement).fetch_all(connection.get()).await;
        Ok(connection.end(result)?.into_iter().map(QueryResult::from).collect())
    }
}

/// Converts sea-orm's statement to sqlx's, as sea-orm's own connections do.
pub(super) fn query<DB>(statement: &Statement) -> sqlx::query::Query<'_, DB, SqlxValues>
where
    DB: sqlx::Database,
    SqlxValues: IntoArguments<DB>,
{
    let values = statement.values.clone().unwrap_or(Values(Vec::new()));
    sqlx::query_with(AssertSqlSafe(statement.sql.as_str()), SqlxValues(values))
}

pub(super) fn query_error(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(error.into()))
}

/// A connection in use. If dropped in the middle of a call it is closed, because half of an answer is
/// still to come.
pub(super) struct Leased<DB: sqlx::Database>(Option<Object<Opener<DB>>>);

impl<DB: sqlx::Database> Leased<DB> {
    pub(super) fn get(&mut self) -> &mut DB::Connection {
        self.0.as_mut().expect("the connection is present until it is returned")
    }

    /// Returns the connection to the pool after a call with this result, unless the connection itself
    /// failed.
    pub(super) fn end<T>(mut self, result: Result<T, sqlx::Error>) -> Result<T, DbErr> {
        if matches!(result, Ok(_) | Err(sqlx::Error::Database(_))) {
            drop(self.0.take());
        }
        result.map_err(query_error)
    }
}

impl<DB: sqlx::Database> Drop for Leased<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}
