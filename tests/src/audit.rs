//! What is stored: every row of every table and every media file, read from the data directory.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A picture of a data directory at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The rows of each table, as `column=value|...`, sorted; the two databases together.
    pub tables: BTreeMap<String, Vec<String>>,
    /// The media files.
    pub files: Vec<PathBuf>,
}

impl Stored {
    /// Reads the databases and the media directory of a data directory.
    ///
    /// # Panics
    /// When one of them can't be read.
    pub async fn read(data: &Path) -> Self {
        let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for name in ["shard-0.db", "shard-1.db"] {
            let database = open(&data.join(name)).await;
            for table in texts(&database, "SELECT name FROM sqlite_master WHERE type = 'table'").await {
                let columns = format!(
                    "SELECT '''' || name || '='' || quote(\"' || name || '\")' FROM pragma_table_info('{table}')"
                );
                let row = texts(&database, &columns).await.join(" || '|' || ");
                let rows = texts(&database, &format!("SELECT {row} FROM \"{table}\"")).await;
                tables.entry(table).or_default().extend(rows);
            }
            database.close().await.expect("a database can be closed");
        }
        tables.values_mut().for_each(|rows| rows.sort());
        Self { tables, files: files(&data.join("media")) }
    }

    /// How many rows a table has.
    ///
    /// # Panics
    /// When there is no such table.
    pub fn count(&self, table: &str) -> usize {
        self.tables.get(table).unwrap_or_else(|| panic!("there is no table {table}")).len()
    }

    /// The edges that have not been removed, one row for each of their two ends.
    pub fn edges(&self) -> Vec<&str> {
        let rows = self.tables.get("tripod_edge").into_iter().flatten();
        rows.map(String::as_str).filter(|row| row.contains("|live=1")).collect()
    }

    /// What differs, for messages: rows and files that only one of the two has.
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

    /// The first column, a text, of what a query gives from one database, also while its server runs.
    ///
    /// # Panics
    /// When it fails.
    pub async fn query(database: &Path, sql: &str) -> Vec<String> {
        let connection = open(database).await;
        let found = texts(&connection, sql).await;
        connection.close().await.expect("a database can be closed");
        found
    }

    /// Runs a statement on one of the two databases of a server that has stopped.
    ///
    /// # Panics
    /// When it fails.
    pub async fn execute(data: &Path, database: usize, sql: &str) {
        let connection = open(&data.join(format!("shard-{database}.db"))).await;
        connection.execute_unprepared(sql).await.expect("the statement runs");
        connection.close().await.expect("a database can be closed");
    }
}

async fn open(path: &Path) -> DatabaseConnection {
    let mut options = ConnectOptions::new(format!("sqlite://{}?mode=rw", path.display()));
    // Without sqlx's maintenance of the pool, for the reason that tripod's own connections have.
    options.idle_timeout(None).max_lifetime(None);
    Database::connect(options).await.expect("a database of the server can be opened")
}

async fn texts(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows =
        database.query_all_raw(Statement::from_string(DbBackend::Sqlite, sql)).await.expect("a query runs");
    rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
