//! The read connections of either engine.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx::{Postgres, Sqlite};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use sea_orm_migration::async_trait::async_trait;

use super::availability::Availability;
use super::connections::Connections;

/// Read-only connections for sea-orm's queries; they see committed data only. A query that meets a dead
/// connection is repeated once; a query to a server that is down fails at once.
#[derive(Clone)]
pub struct Reader {
    engine: Engine,
    seen: Option<Arc<Seen>>,
}

type Seen = dyn Fn(&str, Duration) + Send + Sync;

#[derive(Clone)]
enum Engine {
    /// A file is always available; a server may not be.
    File(Connections<Sqlite>),
    Server(Connections<Postgres>, Availability),
}

/// Makes a call on the engine's connections, and repeats it once if its connection is dead.
macro_rules! read {
    ($reader:ident, $sql:expr, $call:ident($argument:expr)) => {{
        let begun = $reader.seen.as_ref().map(|seen| (seen, Instant::now()));
        let result = match &$reader.engine {
            Engine::File(connections) => connections.$call($argument).await,
            Engine::Server(connections, server) => match server.guard(connections.$call($argument)).await {
                Err(error) if server.is_worth_repeating(&error) => {
                    server.guard(connections.$call($argument)).await
                }
                result => result,
            },
        };
        if let Some((seen, begun)) = begun {
            seen($sql, begun.elapsed());
        }
        result
    }};
}

impl Reader {
    pub(super) fn file(connections: Connections<Sqlite>) -> Self {
        Self { engine: Engine::File(connections), seen: None }
    }

    pub(super) fn server(connections: Connections<Postgres>, server: Availability) -> Self {
        Self { engine: Engine::Server(connections, server), seen: None }
    }

    /// The same connections, with `seen` called with the SQL and the duration of each query.
    pub(super) fn observed(mut self, seen: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        self.seen = Some(Arc::new(seen));
        self
    }

    /// The availability of its server; a file has none.
    pub(super) fn availability(&self) -> Option<&Availability> {
        match &self.engine {
            Engine::File(_) => None,
            Engine::Server(_, server) => Some(server),
        }
    }

    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match &self.engine {
            Engine::File(connections) => connections.close().await,
            Engine::Server(connections, _) => connections.close().await,
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("backend", &self.get_database_backend()).finish_non_exhaustive()
    }
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        match self.engine {
            Engine::File(_) => DbBackend::Sqlite,
            Engine::Server(..) => DbBackend::Postgres,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        read!(self, &statement.sql, execute(&statement))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        read!(self, sql, execute_unprepared(sql))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        read!(self, &statement.sql, query_one(&statement))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        read!(self, &statement.sql, query_all(&statement))
    }
}
