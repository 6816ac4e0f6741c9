//! Migrations: an ordered list, each applied once, in a transaction with the note that it was.

use sea_orm::sea_query::{IndexCreateStatement, IntoIden, TableCreateStatement};
use sea_orm::{DbErr, DynIden};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTraitSelf, SchemaManager, async_trait};

use super::Database;
use crate::error::{Error, Result};

/// Makes one migration; a list of these is a schema's history.
pub type Migration = fn() -> Box<dyn MigrationTrait>;

/// A migration that creates tables and their indexes, all or none.
///
/// What it creates is written out rather than derived from today's entities, because a migration
/// must do next year what it did when it was written.
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
    tables: Vec<TableCreateStatement>,
    indexes: Vec<IndexCreateStatement>,
}

impl CreateTables {
    /// A migration of this name: unique, never changed, sorting by date.
    pub fn new(name: &'static str) -> Self {
        Self { name, tables: Vec::new(), indexes: Vec::new() }
    }

    /// Creates this table.
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

    /// The form that a list of migrations takes.
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
        for table in &self.tables {
            manager.create_table(table.clone()).await?;
        }
        for index in &self.indexes {
            manager.create_index(index.clone()).await?;
        }
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }
}

/// Brings a database to the newest of these migrations.
///
/// # Errors
/// Configuration, when the database has migrations that are not in the list: it was made by a
/// newer version, or by another app.
pub async fn migrate(database: &Database, migrations: &[Migration]) -> Result<()> {
    let history = History(migrations.to_vec());
    let connection = &database.writer_connection;
    let failed = |error: DbErr| {
        let foreign = matches!(&error, DbErr::Custom(text) if text.contains("missing"));
        let sentence = if foreign {
            "has tables of a newer version or of another app: run that one, or point to other databases"
        } else {
            "could not be migrated and is as it was"
        };
        Error::configuration(format!("the database {} {sentence}", database.name())).because(error)
    };
    if history.get_pending_migrations(connection).await.map_err(failed)?.is_empty() {
        return Ok(());
    }
    history.up(connection, None).await.map_err(failed)
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
