//! One physical database: read connections, one way to write, and its schema.
//!
//! `db` knows nothing of shards or ids. Every write goes through [`Database::write`]. SQLite has one
//! writer: concurrent writes share a commit (and its fsync) instead of queueing for the lock, and
//! nothing here ever sees `SQLITE_BUSY`. On PostgreSQL each write has a connection from a bounded pool.

mod address;
mod availability;
mod connections;
mod group_commit;
mod lock;
mod pooled;
mod postgres;
mod primary;
mod reader;
mod rows;
mod schema;
mod sqlite;
mod table;
mod transaction;

use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, Value};

use tokio::sync::watch;

pub use lock::Lock;
pub use reader::Reader;
pub(crate) use rows::{Cell, Rows};
pub(crate) use schema::by_code_point;
pub(crate) use schema::columns;
pub use schema::{CreateTables, Migration, check_schema, migrate};
pub use table::TableDef;
pub use transaction::Transaction;

use crate::config;
use crate::config::credentials::without_credentials;
use crate::error::{Error, Result};
use address::Address;
use availability::Availability;
use group_commit::GroupCommit;
use pooled::Pooled;
use primary::Primary;

/// A handle on one physical database; clones share its connections.
#[derive(Clone, Debug)]
pub struct Database {
    name: String,
    reader: Reader,
    /// For migrations and locks; on SQLite, also the writing connection.
    connection: DatabaseConnection,
    writer: Writer,
    /// Whether a pooler is known to be in front of its server.
    is_pooled: bool,
}

/// What a server has of connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerConnections {
    /// How many this user's processes and everyone else may have together.
    pub(crate) usable: i64,
    /// How many are open.
    pub(crate) open: i64,
}

#[derive(Clone, Debug)]
enum Writer {
    Group(GroupCommit),
    Pool(Pooled),
}

impl Database {
    /// Opens `sqlite://PATH`, creating the file if it does not exist, or
    /// `postgres://USER:PASSWORD@HOST:PORT/NAME`, whose server must respond.
    ///
    /// # Errors
    /// Configuration, saying what to do: another scheme, a file that can't be opened, a server that is
    /// too old or refuses the login, or a pooler that can't keep prepared statements. Unavailable: a server
    /// that does not answer, has no connection left, or takes no writes.
    pub async fn open(url: &str, settings: &config::Database) -> Result<Self> {
        let file = url.strip_prefix("sqlite://");
        // SQLite's names for databases in memory, and parameters, which SQLite would take for the name.
        if let Some(path) =
            file.filter(|path| !path.is_empty() && !path.contains(['?', '#']) && *path != ":memory:")
        {
            let (reads, connection) = sqlite::open(path, settings).await?;
            let writer = Writer::Group(GroupCommit::start(path, connection.clone()));
            let (name, reader) = (path.to_owned(), Reader::file(reads));
            return Ok(Self { name, reader, connection, writer, is_pooled: false });
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::open_server(&Address::parse(url)?, settings).await;
        }
        // A file's address has no password.
        let shown = if url.starts_with("sqlite:") { url.to_owned() } else { without_credentials(url) };
        Err(Error::configuration(format!(
            "the database {shown} is neither postgres://USER:PASSWORD@HOST:PORT/NAME nor sqlite://PATH"
        )))
    }

    async fn open_server(address: &Address, settings: &config::Database) -> Result<Self> {
        let primary = postgres::check(address, settings).await?;
        let database = Self::prepare_server(address, settings);
        database.admit(primary);
        Ok(database)
    }

    fn prepare_server(address: &Address, settings: &config::Database) -> Self {
        let postgres::Opened { reads, writes, pool, server } = postgres::prepare(address, settings);
        let connection = DatabaseConnection::from(pool);
        let writer = Writer::Pool(Pooled::new(&address.name, writes, server.clone()));
        let reader = Reader::server(reads, server);
        let is_pooled = address.direct.is_some();
        Self { name: address.name.clone(), reader, connection, writer, is_pooled }
    }

    /// A database on a server that does not answer yet: every call is refused until [`Self::admit_as`].
    ///
    /// # Errors
    /// Configuration: the address can't be read.
    pub(crate) fn absent(url: &str, settings: &config::Database) -> Result<Self> {
        Ok(Self::prepare_server(&Address::parse(url)?, settings))
    }

    /// The connections of its server; `None` if it is a file, or a pooler has connections of its own.
    ///
    /// # Errors
    /// Any database error.
    pub(crate) async fn server_connections(&self) -> Result<Option<ServerConnections>> {
        if self.is_embedded() || self.is_pooled {
            return Ok(None);
        }
        // `reserved_connections` exists from 16 on.
        let sql = "SELECT current_setting('max_connections')::bigint \
            - current_setting('superuser_reserved_connections')::bigint \
            - COALESCE(current_setting('reserved_connections', true)::bigint, 0), \
            (SELECT sum(numbackends)::bigint FROM pg_stat_database)";
        let row = self.reader.query_one_raw(statement(&self.reader, sql, [])).await?;
        let read = |row: sea_orm::QueryResult| {
            Ok::<_, sea_orm::DbErr>(ServerConnections {
                usable: row.try_get_by_index(0)?,
                open: row.try_get_by_index(1)?,
            })
        };
        Ok(row.map(read).transpose()?)
    }

    /// Whether its server has not answered since the start.
    pub(crate) fn is_absent(&self) -> bool {
        self.reader.availability().is_some_and(Availability::is_absent)
    }

    /// Lets calls reach an absent database, once `checked`, a handle on the same server, shows that it is as
    /// it should be.
    pub(crate) fn admit_as(&self, checked: &Self) {
        if let Some(primary) = checked.reader.availability().and_then(Availability::primary) {
            self.admit(primary);
        }
    }

    fn admit(&self, primary: Primary) {
        if let Some(server) = self.reader.availability() {
            server.admit(primary);
        }
    }

    /// The same database without its pooler, if it has one, for operations that a pooler does not
    /// support.
    ///
    /// # Errors
    /// As for [`Self::open`].
    pub async fn open_direct(url: &str, settings: &config::Database) -> Result<Self> {
        if !url.starts_with("postgres") {
            return Self::open(url, settings).await;
        }
        let mut address = Address::parse(url)?;
        address.pooled = address.direct.take().unwrap_or(address.pooled);
        Self::open_server(&address, settings).await
    }

    /// Its name in errors and listings, never with the password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a file that this process has to itself, rather than a server.
    pub fn is_embedded(&self) -> bool {
        self.backend() == DbBackend::Sqlite
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    /// The read-only connections, for sea-orm's queries.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Runs `work` in a transaction that is committed if it returns `Ok` and rolled back if it returns
    /// `Err`. Returns `Ok` only once the commit is durable.
    ///
    /// The work runs to its end even if the caller is dropped. It holds up other writes to this database
    /// (on SQLite all of them), so it must use only the database. The framework itself also calls Redis,
    /// once, if the work changes cached data.
    ///
    /// # Errors
    /// The errors of `work`; overloaded, if too many writes wait; unavailable, if the work takes longer
    /// than [`WORK_DEADLINE`] or the commit fails, and then nothing has changed; unconfirmed, if the
    /// server goes away during the commit.
    pub async fn write<R, F, Done>(&self, work: F) -> Result<R>
    where
        F: FnOnce(Transaction) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        match &self.writer {
            Writer::Group(writer) => writer.write(work).await,
            Writer::Pool(writer) => writer.write(None, |transaction, _| work(transaction)).await,
        }
    }

    /// As [`Self::write`], but first runs the query `first` in the transaction, which returns one text
    /// or none. On a server it takes no extra round trip, and may be several queries, the last of which counts.
    ///
    /// # Errors
    /// As for [`Self::write`], and those of the query.
    pub(crate) async fn write_after<R, F, Done>(&self, first: String, work: F) -> Result<R>
    where
        F: FnOnce(Transaction, Option<String>) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        match &self.writer {
            Writer::Group(writer) => {
                let ask = move |transaction: Transaction| async move {
                    let row = transaction.query_one_raw(statement(&transaction, &first, [])).await?;
                    let answer = row.map(|row| row.try_get_by_index(0)).transpose()?;
                    work(transaction, answer).await
                };
                writer.write(ask).await
            }
            Writer::Pool(writer) => writer.write(Some(first), work).await,
        }
    }

    /// Closes every connection, so that SQLite checkpoints its log into the file. The database must not
    /// be used afterwards.
    ///
    /// # Errors
    /// Any error from closing a connection.
    pub async fn close(&self) -> Result<()> {
        // The writer is last: closing it checkpoints the log.
        self.reader.close().await?;
        if let Writer::Pool(writer) = &self.writer {
            writer.close().await?;
        }
        Ok(self.connection.close_by_ref().await?)
    }

    /// The same database, with `seen` called with the SQL and the duration of each read query.
    #[must_use]
    pub fn observed(mut self, seen: impl Fn(&str, Duration) + Send + Sync + 'static) -> Self {
        self.reader = self.reader.observed(seen);
        self
    }

    /// The history of writes that its server continues, and its changes: a promoted standby begins a new
    /// one, which may lack the last writes of the old one. `None` if the database is a file.
    pub(crate) fn history(&self) -> Option<watch::Receiver<Option<Arc<str>>>> {
        self.reader.availability().map(Availability::history)
    }

    /// The time by its server's clock, in milliseconds since the Unix epoch; `None` if the database is a file.
    pub(crate) fn clock_ms(&self) -> Option<u64> {
        self.reader.availability().and_then(Availability::clock_ms)
    }

    /// Checks that the database responds and takes writes.
    ///
    /// # Errors
    /// Unavailable, naming the database.
    pub async fn ping(&self) -> Result<()> {
        let server = self.reader.availability();
        if server.is_some_and(|server| !server.is_down() && !server.is_writable()) {
            return Err(Error::unavailable(format!("the database {} takes no writes", self.name)));
        }
        self.reader.execute_unprepared("SELECT 1").await.map(drop).map_err(|error| {
            Error::unavailable(format!("the database {} does not answer", self.name)).because(error)
        })
    }
}

/// How long one write transaction may hold the writer.
pub const WORK_DEADLINE: Duration = Duration::from_secs(10);

/// A statement in a connection's dialect, with its values bound to `$1`, `$2`, ...
pub(crate) fn statement(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Statement {
    Statement::from_sql_and_values(connection.get_database_backend(), sql, values)
}
