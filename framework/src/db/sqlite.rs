//! Opens a SQLite file: one connection that writes and a few that only read.
//!
//! WAL lets readers go on while the writer works; `synchronous=FULL` makes a commit wait for the
//! disk (with NORMAL, WAL may lose acknowledged commits when the power fails).

use std::path::Path;

use sea_orm::sqlx::Connection as _;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};

use crate::config;
use crate::error::{Error, Result};

/// The pool of readers and the one writer.
pub(super) async fn open(
    path: &str,
    settings: &config::Database,
) -> Result<(DatabaseConnection, DatabaseConnection)> {
    if let Some(directory) = Path::new(path).parent() {
        std::fs::create_dir_all(directory).map_err(|error| {
            Error::configuration(format!(
                "cannot create the directory {} for a database: give this user the right to, or set data_dir",
                directory.display()
            ))
            .because(error)
        })?;
    }
    // The writer is first: it creates the file and turns WAL on, which readers can't.
    let writer = connect(path, settings, 1, false).await?;
    let reader = connect(path, settings, settings.readers, true).await?;
    Ok((reader, writer))
}

async fn connect(
    path: &str,
    settings: &config::Database,
    connections: u32,
    read_only: bool,
) -> Result<DatabaseConnection> {
    let mut options = ConnectOptions::new("sqlite::memory:");
    let (file, wait) = (path.to_owned(), settings.wait());
    options
        .max_connections(connections)
        .min_connections(1)
        // A file's connections need no renewal. With either limit sqlx 0.9 starts a task that looks
        // at every idle connection, by a count that is below zero for a moment when a connection is
        // taken while another is given back: read just then, it is looped to the largest number
        // there is, on a whole core and for good (pool/inner.rs: release, pop_idle).
        .idle_timeout(None)
        .max_lifetime(None)
        .acquire_timeout(wait)
        .test_before_acquire(false)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let sqlite = sqlite
                .filename(&file)
                .in_memory(false)
                .shared_cache(false)
                .create_if_missing(!read_only)
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Full)
                .foreign_keys(true)
                .busy_timeout(wait);
            if read_only { sqlite.pragma("query_only", "on") } else { sqlite }
        });
    if !read_only {
        options.map_sqlx_sqlite_pool_opts(|pool| {
            pool.after_release(|connection, _| {
                Box::pin(async move {
                    // Once this answers, a rollback that was queued has been tried. When the disk
                    // is full SQLite rolls back by itself, and then sqlx's count of transactions
                    // is wrong for good: such a connection would acknowledge what it never
                    // commits. It is closed, and a new one opened.
                    connection.ping().await?;
                    Ok(!connection.is_in_transaction())
                })
            })
        });
    }
    Database::connect(options).await.map_err(|error| {
        Error::configuration(format!(
            "cannot open the database {path}: it must be a SQLite file that this user can read and write"
        ))
        .because(error)
    })
}
