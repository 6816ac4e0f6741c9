//! Reads the tables of a PostgreSQL database, with rows in the same format as SQLite's.

use sea_orm::DatabaseConnection;

use super::texts;

/// Each table with its columns, as SQLite's `quote` writes them.
const TABLES: &str = r#"
    SELECT table_name || chr(31) || string_agg(
        quote_literal(column_name || '=') || ' || coalesce(' || CASE
            WHEN data_type IN ('smallint', 'integer', 'bigint', 'numeric', 'real', 'double precision')
                THEN format('%I::text', column_name)
            WHEN data_type = 'boolean' THEN format('%I::int::text', column_name)
            WHEN data_type = 'bytea' THEN format('$$X''$$ || upper(encode(%I, $$hex$$)) || $$''$$', column_name)
            ELSE format('$$''$$ || replace(%I::text, $$''$$, $$''''$$) || $$''$$', column_name)
        END || ', ''NULL'')',
        ' || ''|'' || ' ORDER BY ordinal_position)
    FROM information_schema.columns JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
    GROUP BY table_name"#;

/// Each table, and the query for its rows.
pub(super) async fn tables(database: &DatabaseConnection) -> Vec<(String, String)> {
    let tables = texts(database, TABLES).await;
    let parts = tables.iter().filter_map(|table| table.split_once('\u{1f}'));
    parts.map(|(table, row)| (table.to_owned(), format!("SELECT {row} FROM \"{table}\""))).collect()
}
