//! Rows of the framework's own tables, under new ids.

use sea_orm::{ConnectionTrait, Value};

use super::Tx;
use super::tx::MAX_ATTEMPTS;
use crate::db::statement;
use crate::error::Result;
use crate::id::Id;

impl Tx {
    /// As [`Self::insert`], for the framework's own tables: `sql` inserts a row whose primary key is the
    /// column `id`, and `row` returns its values for an id.
    pub(crate) async fn insert_raw<T>(&self, sql: &str, row: impl Fn(Id<T>) -> Vec<Value>) -> Result<Id<T>> {
        let sql = format!("{sql} ON CONFLICT (id) DO NOTHING");
        for _ in 0..MAX_ATTEMPTS {
            let id = self.generate_id()?;
            let insert = statement(self.connection(), &sql, row(id));
            if self.connection().execute_raw(insert).await?.rows_affected() == 1 {
                return Ok(id);
            }
        }
        Err(self.every_id_taken())
    }
}
