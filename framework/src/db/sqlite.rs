//! Opens a SQLite file: one writing connection and a few read-only ones.
//!
//! WAL lets readers continue while the writer works. `synchronous=FULL` makes a commit wait for the
//! disk; with NORMAL, WAL may lose acknowledged commits when the power fails. `secure_delete` overwrites
//! deleted rows in the file. The log may still contain them, until the writer empties it.

use std::path::Path;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sea_orm::sqlx::{ConnectOptions as _, Connection as _, Sqlite};
use sea_orm::{DatabaseConnection, SqlxSqliteConnector};

use super::connections::Connections;
use crate::config;
use crate::error::{Error, Result};
use crate::permissions::restrict_file;

/// The read connections, and the writing one.
pub(super) async fn open(
    path: &str,
    settings: &config::Database,
) -> Result<(Connections<Sqlite>, DatabaseConnection)> {
    if let Some(directory) = Path::new(path).parent() {
        std::fs::create_dir_all(directory).map_err(|error| {
            Error::configuration(format!(
                "cannot create the directory {} for a database: give this user the right to, or set data_dir",
                directory.display()
            ))
            .because(error)
        })?;
    }
    let cannot = format!(
        "cannot open the database {path}: it must be a SQLite file that this user can read and write"
    );
    for suffix in ["", "-wal", "-shm"] {
        restrict_file(Path::new(&format!("{path}{suffix}")))
            .map_err(|error| Error::configuration(cannot.clone()).because(error))?;
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("secure_delete", "on")
        .busy_timeout(settings.wait())
        .disable_statement_logging();
    // The writer opens first: it creates the file and turns WAL on, which readers can't.
    let writer = open_writer(options.clone().create_if_missing(true), settings).await;
    let writer = writer.map_err(|error| Error::configuration(cannot.clone()).because(error))?;
    let readers = options.pragma("query_only", "on");
    let readers = Connections::new(readers, None, settings.readers as usize, settings.wait());
    readers.check().await.map_err(|error| Error::configuration(cannot).because(error))?;
    Ok((readers, writer))
}

async fn open_writer(
    options: SqliteConnectOptions,
    settings: &config::Database,
) -> Result<DatabaseConnection, sea_orm::sqlx::Error> {
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .min_connections(1)
        // A file's connections need no renewal. With either limit, sqlx 0.9 starts a task that visits
        // every idle connection. The count of idle connections is briefly below zero when one is taken
        // while another is returned; read at that moment it wraps, and the task loops forever on a whole
        // core (pool/inner.rs: release, pop_idle).
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(settings.wait())
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // Once this answers, any queued rollback has been tried. When the disk is full, SQLite
                // rolls back by itself, and sqlx's transaction count stays wrong: the connection would
                // acknowledge writes that it never commits. It is closed, and a new one opened.
                connection.ping().await?;
                Ok(!connection.is_in_transaction())
            })
        })
        .connect_with(options)
        .await?;
    Ok(SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
}
