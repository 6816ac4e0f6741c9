//! Checks at start that the databases have the tables and columns of the entities, with types that fit.
//!
//! SQLite stores any integer in any integer column, but PostgreSQL can't read a 64-bit column into a
//! 32-bit field. The types are therefore checked on SQLite too, where apps are developed, as far as its
//! tables tell: an `integer` there may have any width.

use sea_orm::ColumnType;

use crate::db::{Database, columns};
use crate::error::{Error, Result};
use crate::shard::Table;

/// Checks these tables in all databases.
///
/// # Errors
/// Configuration, listing everything that is missing or of another type.
pub(super) async fn check_tables(databases: &[Database], tables: &[Table]) -> Result<()> {
    let mut mistakes = Vec::new();
    for database in databases {
        for table in tables {
            mistakes.extend(mistakes_of(database, table).await?);
        }
    }
    match mistakes.len() {
        0 => Ok(()),
        1 => Err(Error::configuration(mistakes.remove(0))),
        _ => Err(Error::configuration(format!(
            "the tables are not those of the entities:\n- {}",
            mistakes.join("\n- ")
        ))),
    }
}

async fn mistakes_of(database: &Database, table: &Table) -> Result<Vec<String>> {
    let (name, place) = (table.name, database.name());
    let Some(present) = columns(database, name).await? else {
        return Ok(vec![format!(
            "the database {place} has no table {name:?}: add a migration that creates it to the app"
        )]);
    };
    let mistakes = table.columns.iter().filter_map(|column| {
        let Some((_, declared)) = present.iter().find(|(present, _)| *present == column.name) else {
            return Some(format!(
                "the table {name:?} of {place} has no column {:?}: add a migration that adds it to the app",
                column.name
            ));
        };
        let (field, stored) =
            (Kind::of_field(&column.kind)?, Kind::of_column(declared, database.is_embedded())?);
        let declared = declared.to_ascii_lowercase();
        (field != stored).then(|| {
            format!(
                "the column {:?} of the table {name:?} of {place} is {declared}, and the entity's field is \
                 {}: give the field the column's type, or change the column in a migration",
                column.name,
                field.name()
            )
        })
    });
    Ok(mistakes.collect())
}

/// What a column holds, as far as drivers tell types apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Boolean,
    Text,
    Json,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Int16 => "a 16-bit integer",
            Self::Int32 => "a 32-bit integer",
            Self::Int64 => "a 64-bit integer",
            Self::Float32 => "a 32-bit float",
            Self::Float64 => "a 64-bit float",
            Self::Boolean => "a boolean",
            Self::Text => "a text",
            Self::Json => "JSON",
        }
    }

    /// The kind that an entity's field needs; `None` for types that are not checked.
    fn of_field(kind: &ColumnType) -> Option<Self> {
        Some(match kind {
            ColumnType::SmallInteger => Self::Int16,
            ColumnType::Integer => Self::Int32,
            ColumnType::BigInteger => Self::Int64,
            ColumnType::Float => Self::Float32,
            ColumnType::Double => Self::Float64,
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Text | ColumnType::String(_) | ColumnType::Char(_) => Self::Text,
            ColumnType::Json | ColumnType::JsonBinary => Self::Json,
            _ => return None,
        })
    }

    /// The kind of a column, from the type that the database names; `None` for types that are not checked.
    fn of_column(declared: &str, is_sqlite: bool) -> Option<Self> {
        let declared = declared.to_ascii_lowercase();
        Some(match declared.split('(').next().unwrap_or_default().trim() {
            "integer" if is_sqlite => return None,
            "smallint" => Self::Int16,
            "integer" => Self::Int32,
            "bigint" => Self::Int64,
            "real" | "float" => Self::Float32,
            "double precision" | "double" => Self::Float64,
            "boolean" => Self::Boolean,
            "text" | "varchar" | "character varying" | "char" | "character" => Self::Text,
            "json" | "jsonb" | "json_text" | "jsonb_text" => Self::Json,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::ColumnDef;

    use super::*;
    use crate::config;
    use crate::db::{CreateTables, Migration, TableDef, migrate};
    use crate::id::Id;

    mod walk {
        use sea_orm::entity::prelude::*;

        use super::Id;
        use crate::{NoRelations, Sharded};

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel, NoRelations, Sharded)]
        #[sea_orm(table_name = "walk")]
        #[sharded(by = id)]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: Id<Entity>,
            pub name: String,
            pub steps: i32,
            pub metres: i64,
            pub speed: Option<f64>,
            pub is_public: bool,
            pub route: Json,
            pub day: Date,
        }
    }

    async fn check(migration: Migration) -> Result<()> {
        let directory = tempfile::tempdir().unwrap();
        let settings = config::Database { readers: 1, connections: 1, wait_seconds: 5, statement_seconds: 5 };
        let url = format!("sqlite://{}", directory.path().join("0.db").display());
        let database = Database::open(&url, &settings).await?;
        migrate(&database, &[migration]).await?;
        let checked =
            check_tables(std::slice::from_ref(&database), &[Table::sharded::<walk::Entity>()]).await;
        database.close().await?;
        checked
    }

    #[tokio::test]
    async fn tables_that_fit_are_accepted() {
        let fits: Migration = || {
            let walk = TableDef::sharded("walk")
                .column(ColumnDef::new("name").string().not_null().take())
                .column(ColumnDef::new("steps").integer().not_null().take())
                .integer("metres")
                .column(ColumnDef::new("speed").double().take())
                .boolean("is_public")
                .json("route")
                .column(ColumnDef::new("day").date().not_null().take());
            CreateTables::new("m1").create(walk).boxed()
        };
        check(fits).await.unwrap();
    }

    #[tokio::test]
    async fn everything_that_does_not_fit_is_named_at_once() {
        let differs: Migration = || {
            let walk =
                TableDef::sharded("walk").text("name").integer("steps").integer("metres").text("speed");
            CreateTables::new("m1").create(walk.boolean("is_public").json("route")).boxed()
        };
        let error = check(differs).await.unwrap_err().chain();
        for part in [
            "the column \"steps\" of the table \"walk\"",
            "is bigint, and the entity's field is a 32-bit integer: give the field the column's type",
            "the column \"speed\"",
            "is text, and the entity's field is a 64-bit float",
            "has no column \"day\": add a migration",
        ] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert_eq!(error.matches("\n- ").count(), 3, "{error}");
        let nothing: Migration = || CreateTables::new("m1").boxed();
        let error = check(nothing).await.unwrap_err().chain();
        assert!(error.contains("has no table \"walk\": add a migration"), "{error}");
    }
}
