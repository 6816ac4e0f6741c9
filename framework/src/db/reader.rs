//! The connections that read, whichever engine is behind them.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement};
use sea_orm_migration::async_trait::async_trait;

use super::availability::Availability;

/// Connections that only read, for sea-orm's queries: what they see is committed. A query that meets
/// a connection which has died is made once more; one to a server that is down fails at once.
#[derive(Clone, Debug)]
pub struct Reader {
    pub(super) pool: DatabaseConnection,
    /// A file is always there; a server may not be.
    pub(super) server: Option<Availability>,
}

/// A call, and once more if its connection turns out to be dead.
macro_rules! read {
    ($reader:ident, $call:expr) => {
        match &$reader.server {
            None => $call.await,
            Some(server) => match server.guard($call).await {
                Err(error) if server.is_worth_repeating(&error) => server.guard($call).await,
                result => result,
            },
        }
    };
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        read!(self, self.pool.execute_raw(statement.clone()))
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        read!(self, self.pool.execute_unprepared(sql))
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        read!(self, self.pool.query_one_raw(statement.clone()))
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        read!(self, self.pool.query_all_raw(statement.clone()))
    }
}
