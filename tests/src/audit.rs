//! Audits: every row of every table and every media file, read from the stores themselves.

mod postgres;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::pairing::installation;

/// A snapshot of a service's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The rows of each table, as `column=value|...`, sorted; both databases together.
    pub tables: BTreeMap<String, Vec<String>>,
    /// The media files.
    pub files: Vec<PathBuf>,
}

impl Stored {
    /// Reads the databases and the media of the service with this data directory.
    ///
    /// # Panics
    /// If one of them can't be read.
    pub async fn read(data: &Path) -> Self {
        let bucket = installation(data).map(|installation| installation.bucket());
        Self::read_from(&databases(data), &bucket.unwrap_or_else(|| data.join("media"))).await
    }

    /// Reads databases, given by URL, and a directory of media files.
    ///
    /// # Panics
    /// If one of them can't be read.
    pub async fn read_from(databases: &[String], media: &Path) -> Self {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for url in databases {
            let database = open(url).await;
            let queries = match database.get_database_backend() {
                DbBackend::Postgres => postgres::tables(&database).await,
                _ => sqlite::tables(&database).await,
            };
            for (table, query) in queries {
                let rows = texts(&database, &query).await;
                tables.entry(table).or_default().extend(rows);
            }
            database.close().await.expect("a database can be closed");
        }
        tables.values_mut().for_each(|rows| rows.sort());
        Self { tables, files: files(media) }
    }

    /// What Redis holds of the service with this data directory, keys and values; `None` if it has none.
    ///
    /// # Panics
    /// If Redis does not respond.
    pub fn redis(data: &Path) -> Option<Vec<String>> {
        installation(data).map(|installation| installation.redis_contents())
    }

    /// The number of rows in a table.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).unwrap_or_else(|| panic!("there is no table {table}")).len()
    }

    /// The edges that have not been removed, one row for each of their two ends.
    pub fn edges(&self) -> Vec<&str> {
        let rows = self.tables.get("tripod_edge").into_iter().flatten();
        rows.map(String::as_str).filter(|row| row.contains("|live=1")).collect()
    }

    /// The difference, for messages: rows and files that only one of the two has.
    pub fn difference(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.lines(), other.lines());
        let less = mine.difference(&theirs).map(|line| format!("- {line}"));
        less.chain(theirs.difference(&mine).map(|line| format!("+ {line}"))).collect()
    }

    fn lines(&self) -> BTreeSet<String> {
        let rows = self
            .tables
            .iter()
            .flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table}: {row}")));
        rows.chain(self.files.iter().map(|file| file.display().to_string())).collect()
    }

    /// The first column, a text, of a query's rows in each database of the service with this data
    /// directory. The service may be running.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn query(data: &Path, sql: &str) -> Vec<String> {
        let mut found = Vec::new();
        for url in databases(data) {
            found.extend(Self::query_one(&url, sql).await);
        }
        found
    }

    /// The same for one database.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn query_one(database: &str, sql: &str) -> Vec<String> {
        let connection = open(database).await;
        let found = texts(&connection, sql).await;
        connection.close().await.expect("a database can be closed");
        found
    }

    /// Runs a statement on one of the two databases of a stopped server.
    ///
    /// # Panics
    /// If the statement fails.
    pub async fn execute(data: &Path, database: usize, sql: &str) {
        let connection = open(&databases(data)[database]).await;
        connection.execute_unprepared(sql).await.expect("the statement runs");
        connection.close().await.expect("a database can be closed");
    }
}

/// The URLs of the data directory's installation, or of the files in it.
fn databases(data: &Path) -> Vec<String> {
    match installation(data) {
        Some(installation) => installation.direct(),
        None => ["shard-0.db", "shard-1.db"].map(|name| sqlite(&data.join(name))).into(),
    }
}

/// The URL of a file that must exist.
fn sqlite(file: &Path) -> String {
    format!("sqlite://{}?mode=rw", file.display())
}

async fn open(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // Without sqlx's maintenance of the pool, for the same reason as in Tripod's own connections.
    options.max_connections(1).idle_timeout(None).max_lifetime(None).sqlx_logging(false);
    Database::connect(options).await.expect("a database of the server can be opened")
}

async fn texts(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let rows = database.query_all_raw(statement).await.expect("a query runs");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        // The mark of the store is no media file.
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.ends_with("tripod-store") => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}
