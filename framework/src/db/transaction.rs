//! A write transaction, as seen by the work that runs in it.

use std::fmt;
use std::sync::Arc;

use sea_orm::sqlx::{self, Executor as _, Postgres};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use sea_orm_migration::async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};

use super::availability::Availability;
use super::connections::{Leased, query, query_error};

/// A write transaction, for sea-orm's statements. Clones share it. It ends with its work: a clone that
/// outlives the work gets an error for every statement.
#[derive(Clone)]
pub struct Transaction {
    backend: DbBackend,
    state: Arc<Mutex<State>>,
}

/// What a transaction runs on.
pub(super) enum State {
    /// A file's transaction, or a savepoint in it.
    Sqlite(DatabaseTransaction),
    /// A connection to a server that is in a transaction. sea-orm's own transaction would take an extra
    /// round trip to begin.
    Postgres {
        connection: Leased<Postgres>,
        server: Availability,
        /// Whether a statement has failed: the server then ignores all that follow, and silently turns a
        /// commit into a rollback.
        has_failed: bool,
    },
    /// The work has ended.
    Ended,
}

impl Transaction {
    pub(super) fn sqlite(begun: DatabaseTransaction) -> Self {
        Self { backend: DbBackend::Sqlite, state: Arc::new(Mutex::new(State::Sqlite(begun))) }
    }

    pub(super) fn postgres(connection: Leased<Postgres>, server: Availability) -> Self {
        let state = State::Postgres { connection, server, has_failed: false };
        Self { backend: DbBackend::Postgres, state: Arc::new(Mutex::new(state)) }
    }

    /// Commits, and ends the transaction for every clone. Waits for a statement in progress.
    pub(super) async fn commit(&self) -> Result<(), DbErr> {
        match self.end().await {
            State::Sqlite(begun) => begun.commit().await,
            State::Postgres { has_failed: true, mut connection, .. } => {
                let undone = connection.get().execute("ROLLBACK").await;
                connection.end(undone)?;
                Err(DbErr::Custom("a statement failed, and the work went on as if it had not".to_owned()))
            }
            State::Postgres { mut connection, .. } => {
                let committed = connection.get().execute("COMMIT").await;
                connection.end(committed).map(drop)
            }
            State::Ended => Err(ended()),
        }
    }

    /// Rolls back, and ends the transaction for every clone.
    pub(super) async fn rollback(&self) -> Result<(), DbErr> {
        match self.end().await {
            State::Sqlite(begun) => begun.rollback().await,
            State::Postgres { mut connection, .. } => {
                let undone = connection.get().execute("ROLLBACK").await;
                connection.end(undone).map(drop)
            }
            State::Ended => Err(ended()),
        }
    }

    async fn end(&self) -> State {
        std::mem::replace(&mut *self.state.lock().await, State::Ended)
    }

    async fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().await
    }
}

/// Records that a statement has failed, here and for the server: a demoted one rolls back without an error,
/// so that only the statement shows what it is.
fn record_failure<T>(
    result: Result<T, sqlx::Error>,
    server: &Availability,
    has_failed: &mut bool,
) -> Result<T, DbErr> {
    result.map_err(|error| {
        *has_failed = true;
        let error = query_error(error);
        server.observe(&error);
        error
    })
}

fn ended() -> DbErr {
    DbErr::Custom("the transaction has ended: await everything that uses it inside its work".to_owned())
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("backend", &self.backend).finish_non_exhaustive()
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &mut *self.state().await {
            State::Sqlite(begun) => begun.execute_raw(statement).await,
            State::Postgres { connection, server, has_failed } => {
                let done = query(&statement).execute(connection.get()).await;
                record_failure(done, server, has_failed).map(ExecResult::from)
            }
            State::Ended => Err(ended()),
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &mut *self.state().await {
            State::Sqlite(begun) => begun.execute_unprepared(sql).await,
            State::Postgres { connection, server, has_failed } => {
                let done = connection.get().execute(sqlx::AssertSqlSafe(sql)).await;
                record_failure(done, server, has_failed).map(ExecResult::from)
            }
            State::Ended => Err(ended()),
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &mut *self.state().await {
            State::Sqlite(begun) => begun.query_one_raw(statement).await,
            State::Postgres { connection, server, has_failed } => {
                let row = query(&statement).fetch_optional(connection.get()).await;
                Ok(record_failure(row, server, has_failed)?.map(QueryResult::from))
            }
            State::Ended => Err(ended()),
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &mut *self.state().await {
            State::Sqlite(begun) => begun.query_all_raw(statement).await,
            State::Postgres { connection, server, has_failed } => {
                let rows = query(&statement).fetch_all(connection.get()).await;
                Ok(record_failure(rows, server, has_failed)?.into_iter().map(QueryResult::from).collect())
            }
            State::Ended => Err(ended()),
        }
    }
}
