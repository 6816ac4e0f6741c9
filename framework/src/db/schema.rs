//! Migrations: an ordered list, each applied once and recorded in the same transaction.

use sea_orm::sea_query::{IndexCreateStatement, IntoIden, TableCreateStatement};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, DynIden, TransactionTrait};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager, async_trait};

use super::{Database, TableDef, statement};
use crate::error::{Error, Result};

/// The number of the lock for migrating a database.
const MIGRATING: i32 = 1;

/// Creates one migration; a list of these is a schema's history.
pub type Migration = fn() -> Box<dyn MigrationTrait>;

/// A migration that creates tables and their indexes, all or none.
///
/// Tables are written out rather than derived from the current entities, because a migration must do
/// next year what it did when it was written.
///
/// ```
/// use sea_orm::sea_query::{ColumnDef, Table};
/// use tripod::db::{CreateTables, Migration};
///
/// const NOTES: Migration = || {
///     let note = Table::create()
///         .table("note")
///         .col(ColumnDef::new("id").big_integer().not_null().primary_key())
///         .col(ColumnDef::new("text").text().not_null())
///         .take();
///     CreateTables::new("m20261122_000001_notes").table(note).boxed()
/// };
/// ```
pub struct CreateTables {
    name: &'static str,
    definitions: Vec<TableDef>,
    tables: Vec<TableCreateStatement>,
    indexes: Vec<IndexCreateStatement>,
    prefix_indexes: Vec<[&'static str; 3]>,
    sql: Vec<&'static str>,
    postgres: Vec<&'static str>,
}

impl CreateTables {
    /// A migration with this name, which is unique, never changes and sorts by date.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            definitions: Vec::new(),
            tables: Vec::new(),
            indexes: Vec::new(),
            prefix_indexes: Vec::new(),
            sql: Vec::new(),
            postgres: Vec::new(),
        }
    }

    /// Creates this table with its indexes.
    #[must_use]
    pub fn create(mut self, table: TableDef) -> Self {
        self.definitions.push(table);
        self
    }

    /// Creates a table defined with sea-query.
    #[must_use]
    pub fn table(mut self, table: TableCreateStatement) -> Self {
        self.tables.push(table);
        self
    }

    /// Creates this index, after all tables.
    #[must_use]
    pub fn index(mut self, index: IndexCreateStatement) -> Self {
        self.indexes.push(index);
        self
    }

    /// Creates an index for prefix searches on a text column. It orders by code point, whatever the
    /// database's collation is.
    #[must_use]
    pub fn prefix_index(mut self, name: &'static str, table: &'static str, column: &'static str) -> Self {
        self.prefix_indexes.push([name, table, column]);
        self
    }

    /// Runs a statement after all that, such as one that moves existing data. It must mean the same on
    /// SQLite and PostgreSQL.
    #[must_use]
    pub fn sql(mut self, sql: &'static str) -> Self {
        self.sql.push(sql);
        self
    }

    /// Runs a statement after all that, on PostgreSQL only.
    #[must_use]
    pub fn postgres(mut self, sql: &'static str) -> Self {
        self.postgres.push(sql);
        self
    }

    /// Boxes the migration for a list of migrations.
    pub fn boxed(self) -> Box<dyn MigrationTrait> {
        Box::new(self)
    }
}

impl MigrationName for CreateTables {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for CreateTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        for table in &self.tables {
            manager.create_table(table.clone()).await?;
        }
        for definition in &self.definitions {
            let (table, indexes) = definition.statements(backend);
            manager.create_table(table).await?;
            for index in indexes {
                manager.create_index(index.clone()).await?;
            }
        }
        for index in &self.indexes {
            manager.create_index(index.clone()).await?;
        }
        let connection = manager.get_connection();
        for [name, table, column] in &self.prefix_indexes {
            let collated = by_code_point(backend, column);
            connection.execute_unprepared(&format!("CREATE INDEX {name} ON {table} ({collated})")).await?;
        }
        let of_postgres = self.postgres.iter().filter(|_| backend == DbBackend::Postgres);
        for sql in self.sql.iter().chain(of_postgres) {
            connection.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// A table's columns: their names and types, as the database names these. `None` if there is no such
/// table.
pub(crate) async fn columns(database: &Database, table: &str) -> Result<Option<Vec<(String, String)>>> {
    let reader = database.reader();
    let sql = match reader.get_database_backend() {
        DbBackend::Postgres => {
            "SELECT column_name::text, data_type::text FROM information_schema.columns \
             WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1"
        }
        _ => "SELECT name, type FROM pragma_table_info($1)",
    };
    let rows = reader.query_all_raw(statement(reader, sql, [table.into()])).await?;
    let columns = rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)));
    let columns: Vec<(String, String)> = columns.collect::<Result<_, DbErr>>()?;
    Ok((!columns.is_empty()).then_some(columns))
}

/// SQL for a text column that compares by code point.
pub(crate) fn by_code_point(backend: DbBackend, column: &str) -> String {
    let collation = if backend == DbBackend::Postgres { "\"C\"" } else { "BINARY" };
    format!("{column} COLLATE {collation}")
}

/// Applies all missing migrations to a database, or none. Several processes may try at once: one applies
/// them, and the others find them applied. Returns the names of those that this call applied.
///
/// # Errors
/// Configuration, if the database has migrations that are not in the list: a newer version or another
/// app created it.
pub async fn migrate(database: &Database, migrations: &[Migration]) -> Result<Vec<String>> {
    let failed = |error: DbErr| {
        Error::configuration(format!(
            "the database {} could not be migrated and is as it was",
            database.name()
        ))
        .because(error)
    };
    let lock = database.lock(MIGRATING).await?;
    let missing = missing(database, migrations).await?;
    if missing.is_empty() {
        return Ok(missing);
    }
    // On PostgreSQL the migrations run in the transaction that holds the lock.
    let transaction = match lock.into_transaction() {
        Some(transaction) => transaction,
        None => database.connection.begin().await.map_err(failed)?,
    };
    History(migrations.to_vec()).up(&transaction, None).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    Ok(missing)
}

/// Checks that a database has exactly the schema of these migrations.
///
/// # Errors
/// Configuration, with the command that fixes it: migrations are missing, or unknown ones are applied.
pub async fn check_schema(database: &Database, migrations: &[Migration], app: &str) -> Result<()> {
    match missing(database, migrations).await?.as_slice() {
        [] => Ok(()),
        _ => Err(Error::configuration(format!(
            "the database {} has not been migrated to this version's schema: run `{app} migrate`",
            database.name()
        ))),
    }
}

/// The names of these migrations that have not been applied.
async fn missing(database: &Database, migrations: &[Migration]) -> Result<Vec<String>> {
    let known: Vec<String> = migrations.iter().map(|make| make().name().to_owned()).collect();
    let applied = applied(database).await?;
    let foreign: Vec<&str> =
        applied.iter().filter(|name| !known.contains(name)).map(String::as_str).collect();
    if !foreign.is_empty() {
        return Err(Error::configuration(format!(
            "the database {} has tables of a newer version or of another app ({}): run that one, or point to \
             other databases",
            database.name(),
            foreign.join(", ")
        )));
    }
    Ok(known.into_iter().filter(|name| !applied.contains(name)).collect())
}

/// The names of the applied migrations; none, if the database was never migrated.
async fn applied(database: &Database) -> Result<Vec<String>> {
    let reader = database.reader();
    let there = match database.is_embedded() {
        true => "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'tripod_migration'",
        false => {
            "SELECT COUNT(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'tripod_migration'"
        }
    };
    let there = reader.query_one_raw(statement(reader, there, [])).await?;
    if there.map(|row| row.try_get_by_index::<i64>(0)).transpose()? != Some(1) {
        return Ok(Vec::new());
    }
    let rows = reader.query_all_raw(statement(reader, "SELECT version FROM tripod_migration", [])).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

struct History(Vec<Migration>);

#[async_trait::async_trait]
impl MigratorTraitSelf for History {
    fn migrations(&self) -> Vec<Box<dyn MigrationTrait>> {
        self.0.iter().map(|make| make()).collect()
    }

    fn migration_table_name(&self) -> DynIden {
        "tripod_migration".into_iden()
    }
}
