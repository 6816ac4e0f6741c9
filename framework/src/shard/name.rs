//! Names: texts that each belong to one row of an entity, such as user names.

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{ConnectionTrait, Value};

use super::{Read, Sharded, Tx};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};

/// The table of the names of all entities, each on the shard of its hash.
pub const NAME_MIGRATION: Migration = || {
    let name = Table::create()
        .table("tripod_name")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("entity").text().not_null())
        .col(ColumnDef::new("name").text().not_null())
        .col(ColumnDef::new("id").big_integer().not_null())
        .primary_key(Index::create().col("shard").col("entity").col("name"))
        .take();
    CreateTables::new("m20261127_000008_tripod_name").table(name).boxed()
};

fn key<E: Sharded>(name: &str) -> [Value; 3] {
    let shard = Shard::of_text(name).number() as i16;
    [shard.into(), E::default().table_name().into(), name.into()]
}

impl Tx {
    /// Claims a name for a row. Names are compared as they are: lower-case and normalise them first.
    ///
    /// A row inserted on the shard of its name, [`Shard::of_text`], commits together with the name.
    ///
    /// # Errors
    /// Conflict, if the name is taken; internal, if it belongs to another shard than this transaction.
    pub async fn claim_name<E: Sharded>(&self, name: &str, row: Id<E>) -> Result<()> {
        self.check_name(name)?;
        let sql = "INSERT INTO tripod_name (shard, entity, name, id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let values = key::<E>(name).into_iter().chain([row.into()]);
        match self.execute(sql, values).await? {
            1 => Ok(()),
            _ => Err(Error::conflict(format!("The name {name} is taken."))),
        }
    }

    /// Releases a row's name, so that another row may claim it; `false` if the row does not have the
    /// name.
    ///
    /// # Errors
    /// As for [`Self::claim_name`].
    pub async fn release_name<E: Sharded>(&self, name: &str, row: Id<E>) -> Result<bool> {
        self.check_name(name)?;
        let sql = "DELETE FROM tripod_name WHERE shard = $1 AND entity = $2 AND name = $3 AND id = $4";
        let values = key::<E>(name).into_iter().chain([row.into()]);
        Ok(self.execute(sql, values).await? == 1)
    }

    fn check_name(&self, name: &str) -> Result<()> {
        match Shard::of_text(name) {
            shard if shard == self.shard() => Ok(()),
            shard => Err(Error::internal(format!(
                "a name belongs to {shard} and can't be claimed on {}",
                self.shard()
            ))),
        }
    }
}

impl Read {
    /// The id of the row with this name.
    ///
    /// # Errors
    /// Any error of the name's database.
    pub async fn find_by_name<E: Sharded>(&self, name: &str) -> Result<Option<Id<E>>> {
        let reader = self.shards().reader(Shard::of_text(name));
        let sql = "SELECT id FROM tripod_name WHERE shard = $1 AND entity = $2 AND name = $3";
        let row = reader.query_one_raw(statement(reader, sql, key::<E>(name))).await?;
        row.map(|row| Ok(Id::from_raw(row.try_get_by_index(0)?))).transpose()
    }
}
