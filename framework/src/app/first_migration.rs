//! Generates a first migration from the entities, for a new app to copy into its source once.
//!
//! It is source code instead of a schema that follows the entities, because a migration must always do
//! what it did when it was written.

use sea_orm::ColumnType;

use super::catalogue::Catalogue;
use crate::shard::{Column, Placement, Table};

/// The source of a migration with this name that creates the tables of these entities.
pub(super) fn source(catalogue: &Catalogue, name: &str) -> String {
    let tables = catalogue.tables.iter().map(|table| format!("        .create({})\n", definition(table)));
    let tables: String = tables.collect();
    format!(
        "/// The tables, written out: a migration does next year what it did when it was written.\n\
         pub const TABLES: Migration = || {{\n    CreateTables::new(\"{name}\")\n{tables}        .boxed()\n}};\n"
    )
}

fn definition(table: &Table) -> String {
    let (begin, given) = match &table.placement {
        Placement::Id(id) => (format!("TableDef::sharded({:?})", table.name), vec![id.as_str()]),
        Placement::Shard(shard) => {
            let text = table.key.iter().find(|column| *column != shard).map_or("name", String::as_str);
            (format!("TableDef::by_text({:?}, {text:?})", table.name), vec![shard.as_str(), text])
        }
    };
    let columns = table.columns.iter().filter(|column| !given.contains(&column.name.as_str()));
    let columns: String = columns.map(column).collect();
    let index = table.owner.as_ref().map(|(owner, _)| {
        let by = owner.strip_suffix("_id").unwrap_or(owner);
        format!(".index(\"{}_by_{by}\", &[{owner:?}, \"id\"])", table.name)
    });
    begin + &columns + &index.unwrap_or_default()
}

fn column(column: &Column) -> String {
    let Column { name, kind, is_nullable } = column;
    let method = match kind {
        ColumnType::BigInteger if name.ends_with("_id") && !is_nullable => "id_of",
        ColumnType::BigInteger => "integer",
        ColumnType::Text | ColumnType::String(_) => "text",
        ColumnType::Boolean => "boolean",
        ColumnType::Json | ColumnType::JsonBinary => "json",
        other => return defined_with_sea_query(name, other, *is_nullable),
    };
    let optional = if *is_nullable { "optional_" } else { "" };
    format!(".{optional}{method}({name:?})")
}

/// A column for which `TableDef` has no method.
fn defined_with_sea_query(name: &str, kind: &ColumnType, is_nullable: bool) -> String {
    let kind = match kind {
        ColumnType::Char(_) => "char()",
        ColumnType::TinyInteger => "tiny_integer()",
        ColumnType::SmallInteger => "small_integer()",
        ColumnType::Integer => "integer()",
        ColumnType::TinyUnsigned => "tiny_unsigned()",
        ColumnType::SmallUnsigned => "small_unsigned()",
        ColumnType::Unsigned => "unsigned()",
        ColumnType::BigUnsigned => "big_unsigned()",
        ColumnType::Float => "float()",
        ColumnType::Double => "double()",
        ColumnType::Decimal(_) => "decimal()",
        ColumnType::DateTime => "date_time()",
        ColumnType::Timestamp => "timestamp()",
        ColumnType::TimestampWithTimeZone => "timestamp_with_time_zone()",
        ColumnType::Time => "time()",
        ColumnType::Date => "date()",
        ColumnType::Binary(_) | ColumnType::Blob | ColumnType::VarBinary(_) => "binary()",
        ColumnType::Uuid => "uuid()",
        // Left to the reader: it does not compile, and names what is missing.
        other => return format!(".column(/* {name}: {other:?} */)"),
    };
    let not_null = if is_nullable { "" } else { ".not_null()" };
    format!(".column(sea_orm::sea_query::ColumnDef::new({name:?}).{kind}{not_null}.take())")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Registered;
    use crate::conformance::{author, note};

    #[test]
    fn the_migration_of_the_entities_is_source_that_creates_their_tables() {
        let mut catalogue = Catalogue::default();
        author::Entity::register(&mut catalogue);
        note::Entity::register(&mut catalogue);
        let source = source(&catalogue, "m20261127_000001_notes");
        assert!(source.contains("CreateTables::new(\"m20261127_000001_notes\")\n"), "{source}");
        assert!(source.contains(".create(TableDef::sharded(\"author\").text(\"name\"))\n"), "{source}");
        let note = ".create(TableDef::sharded(\"note\").id_of(\"author_id\").text(\"text\")\
                    .index(\"note_by_author\", &[\"author_id\", \"id\"]))\n";
        assert!(source.contains(note), "{source}");
    }

    #[test]
    fn columns_without_a_method_are_defined_with_sea_query() {
        let define = |kind, is_nullable| column(&Column { name: "count".to_owned(), kind, is_nullable });
        let count = "sea_orm::sea_query::ColumnDef::new(\"count\")";
        let integer = format!(".column({count}.integer().not_null().take())");
        assert_eq!(define(ColumnType::Integer, false), integer);
        assert_eq!(define(ColumnType::Double, true), format!(".column({count}.double().take())"));
    }
}
