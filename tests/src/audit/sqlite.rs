//! Reads the tables of a SQLite file.

use sea_orm::DatabaseConnection;

use super::texts;

/// Each table, and the query for its rows.
pub(super) async fn tables(database: &DatabaseConnection) -> Vec<(String, String)> {
    let mut tables = Vec::new();
    for table in texts(database, "SELECT name FROM sqlite_master WHERE type = 'table'").await {
        let columns = format!(
            "SELECT '''' || name || '='' || quote(\"' || name || '\")' FROM pragma_table_info('{table}')"
        );
        let row = texts(database, &columns).await.join(" || '|' || ");
        tables.push((table.clone(), format!("SELECT {row} FROM \"{table}\"")));
    }
    tables
}
