//! Changing rows, and notifying those who observe changes.

use futures::TryFutureExt;
use futures::future::try_join_all;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, IntoActiveModel, Iterable, ModelTrait, QueryFilter, UpdateMany,
};

use super::tx::table;
use super::{Sharded, Tx};
use crate::error::{Error, Result};
use crate::id::Id;

impl Tx {
    /// Changes the row with this id and returns the changed row; `None` if there is no such row. The row
    /// is read and locked, so that `change` sees its current state, and the columns that differ are
    /// written.
    ///
    /// # Errors
    /// Internal, if the row is on another shard or `change` moves it; any database error.
    pub async fn update<E>(&self, id: Id<E>, change: impl FnOnce(&mut E::Model)) -> Result<Option<E::Model>>
    where
        E: Sharded,
        E::Model: IntoActiveModel<E::ActiveModel>,
    {
        let Some(before) = self.find_for_change(id).await? else { return Ok(None) };
        let mut after = before.clone();
        change(&mut after);
        let mut row = before.clone().into_active_model();
        let mut is_changed = false;
        for column in E::Column::iter() {
            let value = after.get(column);
            if value != before.get(column) {
                row.set(column, value);
                is_changed = true;
            }
        }
        if before.get(E::ID) != after.get(E::ID) || before.get(E::OWNER) != after.get(E::OWNER) {
            return Err(Error::internal(format!("a row of {} can't change its id or owner", table::<E>())));
        }
        if is_changed {
            self.write_columns(id, |rows| rows.set(row)).await?;
            self.notify_of_change::<E>(&before, &after).await?;
        }
        Ok(Some(after))
    }

    /// Changes the row with this id in one statement, as `change` specifies. Returns whether a row
    /// matched both the id and the filters of `change`. For expressions such as incrementing a counter. If
    /// the entity has an index, the row is also read before and after, because only the database knows
    /// what an expression makes of it.
    ///
    /// # Errors
    /// Internal, if the row is on another shard; any database error.
    pub async fn update_where<E: Sharded>(
        &self,
        id: Id<E>,
        change: impl FnOnce(UpdateMany<E>) -> UpdateMany<E>,
    ) -> Result<bool> {
        if !self.shards().observers::<E>().iter().any(|observer| observer.observes_changes()) {
            return self.write_columns(id, change).await;
        }
        let Some(before) = self.find_for_change(id).await? else { return Ok(false) };
        let updated = self.write_columns(id, change).await?;
        if updated && let Some(after) = self.find_row(id, |row| row).await? {
            self.notify_of_change::<E>(&before, &after).await?;
        }
        Ok(updated)
    }

    async fn write_columns<E: Sharded>(
        &self,
        id: Id<E>,
        change: impl FnOnce(UpdateMany<E>) -> UpdateMany<E>,
    ) -> Result<bool> {
        self.check_home(id)?;
        let update = change(E::update_many().filter(E::ID.eq(id)));
        let updated = update.exec(self.connection()).await?.rows_affected > 0;
        if updated {
            self.row_changes(id);
        }
        Ok(updated)
    }

    fn notify_of_change<E: Sharded>(
        &self,
        before: &E::Model,
        after: &E::Model,
    ) -> impl Future<Output = Result<()>> + Send + use<E> {
        let observers = self.shards().observers::<E>();
        let observers = observers.iter().filter(|observer| observer.observes_changes());
        let notified = observers.map(|observer| observer.changed(self.clone(), before, after));
        try_join_all(notified.collect::<Vec<_>>()).map_ok(drop)
    }
}
