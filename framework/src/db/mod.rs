//! One physical database: connections that read, one way to write, and its schema.
//!
//! `db` knows nothing of shards or ids. Every write goes through [`Database::write`], so that on
//! SQLite, which has one writer, concurrent writes share a commit (and its fsync) instead of
//! queueing for the lock; nothing here ever sees `SQLITE_BUSY`.

mod group_commit;
mod schema;
mod sqlite;

use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, Value};

pub use schema::{CreateTables, Migration, migrate};

use crate::config;
use crate::error::{Error, Result};
use group_commit::GroupCommit;

/// A handle on one physical database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    reader: DatabaseConnection,
    /// For migrations, before anything else writes.
    writer_connection: DatabaseConnection,
    writer: GroupCommit,
}

impl Database {
    /// Opens `sqlite://PATH`, creating the file when there is none.
    ///
    /// # Errors
    /// Configuration, for another scheme or a file that can't be opened.
    pub async fn open(url: &str, settings: &config::Database) -> Result<Self> {
        let Some(path) = url.strip_prefix("sqlite://") else {
            return Err(Error::configuration(format!(
                "the database {} is not one this version can open; write sqlite://PATH, such as sqlite://data/shard-0.db",
                redact(url)
            )));
        };
        let (reader, writer) = sqlite::open(path, settings).await?;
        let queue = GroupCommit::start(path, writer.clone());
        Ok(Self { name: path.to_owned(), reader, writer_connection: writer, writer: queue })
    }

    /// What errors and listings call it: never its password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pool of connections that only read, for sea-orm's queries. It sees what is committed.
    pub fn reader(&self) -> &DatabaseConnection {
        &self.reader
    }

    /// Runs `work` in a transaction that is committed when it returns `Ok` and undone when it
    /// returns `Err`. `Ok` comes back only once the commit is durable.
    ///
    /// The work goes on to its end even if the caller is dropped meanwhile. It holds up every
    /// other write to this database, so it talks to nothing but the database.
    ///
    /// # Errors
    /// Those of `work`; overloaded, when too many writes wait; unavailable, when the work takes
    /// longer than [`WORK_DEADLINE`] or the commit fails, and then nothing has happened.
    pub async fn write<R, E, F>(&self, work: F) -> Result<R, E>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer.write(work).await
    }

    /// Closes every connection, so that SQLite puts its log back into the file. Nothing may be
    /// asked of this database after that.
    ///
    /// # Errors
    /// Those of closing.
    pub async fn close(&self) -> Result<()> {
        self.reader.close_by_ref().await?;
        Ok(self.writer_connection.close_by_ref().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// Unavailable, naming it.
    pub async fn ping(&self) -> Result<()> {
        self.reader.execute_unprepared("SELECT 1").await.map(drop).map_err(|error| {
            Error::unavailable(format!("the database {} does not answer", self.name)).because(error)
        })
    }
}

/// How long one write transaction may hold the writer.
pub const WORK_DEADLINE: Duration = Duration::from_secs(10);

/// A statement in the dialect of a connection, with its values bound to `$1`, `$2`, ...
pub(crate) fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}

/// A URL without its user and password.
fn redact(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_named() {
        assert_eq!(redact("postgres://tripod:s3cret@db1/app"), "postgres://…@db1/app");
        assert_eq!(redact("mysql://db1/app"), "mysql://db1/app");
    }
}
