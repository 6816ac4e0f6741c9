//! A bounded pool of connections: those that read, and those that write to a server.
//!
//! deadpool keeps them, and not sqlx's own pool: that one asks the server after each use whether the
//! connection is well, which on PostgreSQL is a second round trip for each query and on SQLite a second
//! hand-over to the connection's thread, and halves how much is read. Here a connection is given back
//! only when its call has come to an end, so there is nothing to ask.

use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, TimeoutType};
use sea_orm::sea_query::Values;
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Executor, IntoArguments};
use sea_orm::{ConnAcquireErr, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use sea_query_sqlx::SqlxValues;

use super::availability::Availability;

/// Opens connections with these options, and tells which are too old for another use.
struct Opener<DB: sqlx::Database> {
    options: Options<DB>,
    server: Option<Availability>,
}

type Options<DB> = <<DB as sqlx::Database>::Connection as Connection>::Options;

impl<DB: sqlx::Database> managed::Manager for Opener<DB> {
    type Type = DB::Connection;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<DB::Connection, sqlx::Error> {
        self.options.connect().await
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
    /// A pool of so many, opened when they are needed. Whoever finds none free, or opens one, waits for so
    /// long at most.
    pub(super) fn new(
        options: Options<DB>,
        server: Option<Availability>,
        count: usize,
        wait: Duration,
    ) -> Self {
        let pool = Pool::builder(Opener { options, server })
            .max_size(count)
            .runtime(deadpool::Runtime::Tokio1)
            .wait_timeout(Some(wait))
            .create_timeout(Some(wait))
            // What was used last is used next: its server process and its caches are warm.
            .queue_mode(managed::QueueMode::Lifo)
            .build();
        Self(pool.expect("what waits has a runtime"))
    }

    /// Opens the first, so that what is wrong shows.
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
            // The server was given as long as anyone waits, and did not let us in.
            Err(_) => Err(DbErr::Conn(RuntimeErr::SqlxError(sqlx::Error::PoolTimedOut.into()))),
        }
    }

    /// Closes those that are not in use, one after the other, and gives out no more.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let idle = self.0.retain(|_, _| false).removed;
        self.0.close();
        for connection in idle {
            connection.close().await.map_err(query_error)?;
        }
        Ok(())
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

/// sea-orm's statement as sqlx's, as sea-orm's own connections make it.
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

/// A connection in use. One that is dropped in the middle of a call has half of an answer still to
/// come: it is closed.
pub(super) struct Leased<DB: sqlx::Database>(Option<Object<Opener<DB>>>);

impl<DB: sqlx::Database> Leased<DB> {
    pub(super) fn get(&mut self) -> &mut DB::Connection {
        self.0.as_mut().expect("it is there until the end")
    }

    /// Gives the connection back after a call that has ended so, unless it is that which failed.
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
