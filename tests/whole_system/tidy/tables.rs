//! Every table is sharded, or on a short list of exceptions.

use super::source::{Source, sources};

/// Tables about a database itself: its identity, its shards, its stores, and how far it has rebuilt an index.
const OF_THE_DATABASE: [&str; 4] =
    ["tripod_database", "tripod_shard", "tripod_store", "tripod_index_rebuild"];

/// The framework's tables, each with the column that determines the shard, by an id or by its number:
/// the first column of its key. A later migration drops the first table of idempotency keys.
const BY_COLUMN: [(&str, &str); 14] = [
    ("tripod_job", "id"),
    ("tripod_edge", "near_id"),
    ("tripod_edge_count", "near_id"),
    ("tripod_pulled", "author_id"),
    ("tripod_session", "id"),
    ("tripod_password", "account_id"),
    ("tripod_known_device", "account_id"),
    ("tripod_idempotency", "account_id"),
    ("tripod_idempotency_key", "shard"),
    ("tripod_index", "shard"),
    ("tripod_index_count", "shard"),
    ("tripod_name", "shard"),
    ("tripod_retired_name", "shard"),
    ("tripod_schedule", "shard"),
];

fn quoted<'t>(text: &'t str, before: &str) -> Vec<&'t str> {
    text.split(before).skip(1).filter_map(|rest| rest.strip_prefix('"')?.split('"').next()).collect()
}

/// A statement that creates a table: the text from there to its end.
fn creations(file: &Source) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for (start, _) in file.text.match_indices("table(\"") {
        let rest = &file.text[start + 7..];
        let statement = &rest[..rest.find(';').unwrap_or(rest.len())];
        let opening = &file.text[..start];
        let is_index = opening.rsplit(';').next().unwrap_or_default().contains("Index::create");
        if !is_index && let Some(name) = rest.split('"').next() {
            found.push((name, statement));
        }
    }
    found
}

#[test]
fn every_table_of_the_product_is_that_of_a_sharded_entity() {
    let files = sources();
    let product: Vec<&Source> =
        files.iter().filter(|file| file.path.starts_with("instaclone/src/")).collect();
    let mut sharded = Vec::new();
    for file in &product {
        let entities = quoted(&file.text, "table_name = ");
        if entities.is_empty() {
            continue;
        }
        let derives = file.text.split("#[derive(").find(|derive| derive.contains("DeriveEntityModel"));
        let derives = derives.and_then(|derives| derives.split(')').next()).unwrap_or_default();
        assert!(derives.contains("Sharded"), "{}: derive Sharded, too", file.path);
        sharded.extend(entities);
    }
    let schema = product
        .iter()
        .find(|file| file.path == "instaclone/src/schema.rs")
        .expect("the product has a schema");
    let created: Vec<&str> = creations(schema).iter().map(|(name, _)| *name).collect();
    assert!(created.len() >= 4, "the tables were not found: {created:?}");
    for table in &created {
        assert!(sharded.contains(table), "the table {table} has no entity that derives Sharded");
    }
    for table in &sharded {
        assert!(created.contains(table), "no migration in schema.rs creates the table {table}");
    }
}

#[test]
fn every_table_of_the_framework_is_known_and_found_by_its_first_column() {
    let files = sources();
    let framework = files.iter().filter(|file| file.path.starts_with("framework/src/"));
    let mut found = Vec::new();
    for file in framework {
        for (table, statement) in
            creations(file).into_iter().filter(|(table, _)| table.starts_with("tripod_"))
        {
            found.push(table);
            if OF_THE_DATABASE.contains(&table) {
                continue;
            }
            let known = BY_COLUMN.iter().find(|(name, _)| *name == table);
            let (_, column) = known.unwrap_or_else(|| {
                panic!(
                    "{}: say in tests/whole_system/tidy/tables.rs by which column {table} is sharded",
                    file.path
                )
            });
            // An edge's two tables share the columns of their end, which are defined before.
            let columns = if *column == "near_id" { &file.text } else { statement };
            let first = quoted(columns, "ColumnDef::new(").first().copied();
            assert_eq!(first, Some(*column), "{}: the first column of {table}", file.path);
        }
    }
    for table in BY_COLUMN.iter().map(|(table, _)| table).chain(&OF_THE_DATABASE) {
        assert!(found.contains(table), "{table} is not created anywhere: take it off the list");
    }
}
