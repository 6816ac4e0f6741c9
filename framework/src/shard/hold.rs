//! Rows that a transaction relies on: they exist, and can't be deleted until it ends.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sea_orm::sea_query::{Expr, LockType, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, DbErr, IntoActiveModel, Iterable,
    QueryResult,
};

use super::tx::table;
use super::{RowTable, Sharded, Tx};
use crate::db::{Cell, Rows, statement};
use crate::error::{Error, Result};
use crate::id::Id;

/// The rows that a transaction has locked or inserted itself: they need not be looked up again.
pub(super) type HeldRows = HashSet<(RowTable, i64)>;

impl Tx {
    /// Whether the row with this id exists. If so, nobody deletes it until this transaction ends; others may
    /// change it meanwhile. [`Self::insert`] does this for a row's owner, and [`Self::connect`] for both ends
    /// of an edge, so that nothing refers to a row that is gone.
    ///
    /// # Errors
    /// Internal, if the row is on another shard; any database error.
    pub async fn hold<E: Sharded>(&self, id: Id<E>) -> Result<bool> {
        self.check_home(id)?;
        self.hold_raw(RowTable::of::<E>(), id.raw()).await
    }

    /// The same, as an error if there is no such row.
    pub(crate) async fn require<E: Sharded>(&self, id: Id<E>) -> Result<()> {
        match self.hold(id).await? {
            true => Ok(()),
            false => Err(Error::absent(format!("There is no {} with this id.", table::<E>()))),
        }
    }

    /// Inserts a row if its owner exists, and holds the owner. Returns whether the row's id was free. Owner and
    /// row are one statement, because the owner of most rows is not yet known to the transaction.
    pub(super) async fn insert_owned<E, A>(&self, row: A, owner: Id<E::Owner>) -> Result<bool>
    where
        E: Sharded,
        A: ActiveModelTrait<Entity = E> + IntoActiveModel<A>,
    {
        if self.held().contains(&(RowTable::of::<E::Owner>(), owner.raw())) {
            return self.insert_row(row, [E::ID]).await;
        }
        let (mut columns, mut values) = (Vec::new(), Query::select());
        for column in E::Column::iter() {
            if let ActiveValue::Set(value) | ActiveValue::Unchanged(value) = row.get(column) {
                columns.push(column);
                values.expr(column.save_as(Expr::val(value)));
            }
        }
        values
            .from(E::Owner::default())
            .and_where(<E::Owner as Sharded>::ID.eq(owner))
            .lock(LockType::KeyShare);
        let mut insert = Query::insert();
        insert.into_table(E::default()).columns(columns);
        insert
            .select_from(values)
            .map_err(|error| Error::internal("a row can't be inserted").because(error))?;
        insert.on_conflict(OnConflict::column(E::ID).do_nothing().to_owned());
        let inserted = self.connection().execute(&insert).await?.rows_affected() > 0;
        match inserted {
            true => self.holds(RowTable::of::<E::Owner>(), owner.raw()),
            false => self.require(owner).await?,
        }
        Ok(inserted)
    }

    /// [`Self::hold`] for a row of any table of this shard.
    pub(crate) async fn hold_raw(&self, rows: RowTable, id: i64) -> Result<bool> {
        if self.held().contains(&(rows, id)) {
            return Ok(true);
        }
        let RowTable { name, id: column } = rows;
        // SQLite has a single writer, so no lock is needed. On a server, this lock conflicts with deletion
        // only.
        let lock = match self.connection().get_database_backend() {
            DbBackend::Postgres => " FOR KEY SHARE",
            _ => "",
        };
        let sql = format!("SELECT 1 FROM \"{name}\" WHERE \"{column}\" = $1{lock}");
        let row = self.connection().query_one_raw(statement(self.connection(), &sql, [id.into()])).await?;
        if row.is_some() {
            self.holds(rows, id);
        }
        Ok(row.is_some())
    }

    /// The same, and orders this transaction after all others that call this for the row: what they have
    /// committed is visible from then on.
    pub(crate) async fn lock_raw(&self, rows: RowTable, id: i64) -> Result<bool> {
        if self.connection().get_database_backend() != DbBackend::Postgres {
            return self.hold_raw(rows, id).await;
        }
        // Those who only hold the row are not in the way.
        let sql = format!("SELECT 1 FROM \"{}\" WHERE \"{}\" = $1 FOR NO KEY UPDATE", rows.name, rows.id);
        let row = self.connection().query_one_raw(statement(self.connection(), &sql, [id.into()])).await?;
        if row.is_some() {
            self.holds(rows, id);
        }
        Ok(row.is_some())
    }

    /// As [`Self::hold_raw`], for many rows of some tables, on any shards of this transaction; returns those
    /// that exist.
    pub(crate) async fn hold_each(&self, wanted: BTreeMap<RowTable, BTreeSet<i64>>) -> Result<HeldRows> {
        let backend = self.connection().get_database_backend();
        let lock = if backend == DbBackend::Postgres { " FOR KEY SHARE OF t" } else { "" };
        let (tables, wanted): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let (mut queries, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (RowTable { name, id: column }, ids)) in tables.iter().zip(wanted).enumerate() {
            let rows = ids.into_iter().map(|id| [Cell::Integer(id)]).collect();
            let (ids, more) = Rows { columns: [("id", "bigint")], rows }.table(backend, values.len() + 1);
            values.extend(more);
            // Locked in one order, so that no two writers wait for each other.
            queries.push(format!(
                "held_{number} AS (SELECT r.id FROM {ids} JOIN \"{name}\" AS t ON t.\"{column}\" = r.id \
                 ORDER BY r.id{lock})"
            ));
            names.push(format!("SELECT {number}, id FROM held_{number}"));
        }
        if tables.is_empty() {
            return Ok(HeldRows::new());
        }
        let sql = format!("WITH {} {}", queries.join(", "), names.join(" UNION ALL "));
        let held = self.connection().query_all_raw(statement(self.connection(), &sql, values)).await?;
        let row = |row: &QueryResult| -> Result<_, DbErr> {
            let number: i32 = row.try_get_by_index(0)?;
            Ok((tables[number as usize], row.try_get_by_index(1)?))
        };
        Ok(held.iter().map(row).collect::<Result<_, _>>()?)
    }

    /// Records that this transaction has locked or inserted a row.
    pub(super) fn holds(&self, rows: RowTable, id: i64) {
        self.held().insert((rows, id));
    }

    /// Records that this transaction has deleted a row.
    pub(super) fn holds_no_more(&self, rows: RowTable, id: i64) {
        self.held().remove(&(rows, id));
    }
}
