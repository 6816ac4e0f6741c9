//! Table definitions for migrations, one line each.

use sea_orm::DbBackend;
use sea_orm::sea_query::{ColumnDef, ColumnType, Index, IndexCreateStatement, Table, TableCreateStatement};

/// A table for [`CreateTables`](super::CreateTables::create), with its columns in order. Columns are `NOT
/// NULL` unless their method says otherwise.
///
/// ```
/// use tripod::db::{CreateTables, Migration, TableDef};
///
/// const NOTES: Migration = || {
///     CreateTables::new("m20261122_000001_notes")
///         .create(TableDef::sharded("note").id_of("author_id").text("text").index("note_by_author", &["author_id", "id"]))
///         .create(TableDef::by_text("name", "name").id_of("author_id"))
///         .boxed()
/// };
/// ```
pub struct TableDef {
    name: &'static str,
    /// The table with its primary key.
    table: TableCreateStatement,
    columns: Vec<ColumnDef>,
    indexes: Vec<IndexCreateStatement>,
}

impl TableDef {
    /// A table whose primary key is an id.
    pub fn sharded(name: &'static str) -> Self {
        let mut table = Table::create();
        table.table(name).col(ColumnDef::new("id").big_integer().not_null().primary_key());
        Self { name, table, columns: Vec::new(), indexes: Vec::new() }
    }

    /// A table whose rows are found by a text: its primary key is the shard and this column.
    pub fn by_text(name: &'static str, text: &'static str) -> Self {
        let mut table = Table::create();
        table
            .table(name)
            .col(ColumnDef::new("shard").small_integer().not_null())
            .col(ColumnDef::new(text).text().not_null())
            .primary_key(Index::create().col("shard").col(text));
        Self { name, table, columns: Vec::new(), indexes: Vec::new() }
    }

    /// A column defined with sea-query, for what the other methods lack.
    #[must_use]
    pub fn column(mut self, mut column: ColumnDef) -> Self {
        self.columns.push(column.take());
        self
    }

    /// The id of a row, in this or another table.
    #[must_use]
    pub fn id_of(self, name: &'static str) -> Self {
        self.integer(name)
    }

    /// A 64-bit integer.
    #[must_use]
    pub fn integer(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).big_integer().not_null().take())
    }

    /// A nullable 64-bit integer.
    #[must_use]
    pub fn optional_integer(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).big_integer().take())
    }

    /// A text.
    #[must_use]
    pub fn text(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).text().not_null().take())
    }

    /// A nullable text.
    #[must_use]
    pub fn optional_text(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).text().take())
    }

    /// A boolean.
    #[must_use]
    pub fn boolean(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).boolean().not_null().take())
    }

    /// A nullable boolean.
    #[must_use]
    pub fn optional_boolean(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).boolean().take())
    }

    /// A JSON value, such as a [`Picture`](crate::media::Picture).
    #[must_use]
    pub fn json(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).json_binary().not_null().take())
    }

    /// A nullable JSON value.
    #[must_use]
    pub fn optional_json(self, name: &'static str) -> Self {
        self.column(ColumnDef::new(name).json_binary().take())
    }

    /// An index with this name over these columns. Listing rows by owner needs one over the owner's
    /// column and `id`.
    #[must_use]
    pub fn index(mut self, name: &'static str, columns: &[&'static str]) -> Self {
        let mut index = Index::create();
        index.name(name).table(self.name);
        for column in columns {
            index.col(*column);
        }
        self.indexes.push(index.take());
        self
    }

    /// The statements that create the table and its indexes.
    pub(super) fn statements(&self, backend: DbBackend) -> (TableCreateStatement, &[IndexCreateStatement]) {
        let mut table = self.table.clone();
        for column in &self.columns {
            let mut column = column.clone();
            // sea-query's type there is `integer` for every width. This one lets the check at start find a
            // field of 32 bits, which PostgreSQL could not read.
            if backend == DbBackend::Sqlite
                && matches!(column.get_column_type(), Some(ColumnType::BigInteger))
            {
                column.custom("bigint");
            }
            table.col(column);
        }
        (table, &self.indexes)
    }
}
