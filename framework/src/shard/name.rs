//! Names: texts that each belong to one row of an entity, such as user names.
//!
//! A name that is retired is forgotten, and yet never given away again: only its hash is kept.

use sea_orm::sea_query::{ColumnDef, Index, Table};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, Value,
};
use sha2::{Digest, Sha256};

use super::tx::table;
use super::{Read, Sharded, TextSharded, Tx};
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

/// The table of the hashes of retired names, each on the shard of its name.
pub const RETIRED_MIGRATION: Migration = || {
    let retired = Table::create()
        .table("tripod_retired_name")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(ColumnDef::new("entity").text().not_null())
        .col(ColumnDef::new("hash").binary().not_null())
        .primary_key(Index::create().col("shard").col("entity").col("hash"))
        .take();
    CreateTables::new("m20261128_000011_tripod_retired_name").table(retired).boxed()
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
        let taken = || Error::conflict(format!("The name {name} is taken."));
        if self.is_retired::<E>(name).await? {
            return Err(taken());
        }
        let sql = "INSERT INTO tripod_name (shard, entity, name, id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        let values = key::<E>(name).into_iter().chain([row.into()]);
        match self.execute(sql, values).await? {
            1 => Ok(()),
            _ => Err(taken()),
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

    /// Releases a row's name and lets no row claim it again, such as the name of an erased account, which
    /// nobody else should be mistaken for. Only the name's hash is kept. Returns `false` if the row does
    /// not have the name.
    ///
    /// # Errors
    /// As for [`Self::claim_name`].
    pub async fn retire_name<E: Sharded>(&self, name: &str, row: Id<E>) -> Result<bool> {
        let released = self.release_name(name, row).await?;
        if released {
            self.retire::<E>(name).await?;
        }
        Ok(released)
    }

    /// Claims a text, such as a name, with a row that says who owns it; `false` if it is taken, or
    /// was retired. Fills in the row's shard and text.
    ///
    /// # Errors
    /// Internal, if the text belongs to another shard.
    pub async fn claim_text<A>(&self, text: &str, mut row: A) -> Result<bool>
    where
        A: ActiveModelTrait + IntoActiveModel<A>,
        A::Entity: TextSharded,
    {
        let (shard_column, text_column) =
            (<A::Entity as TextSharded>::SHARD, <A::Entity as TextSharded>::TEXT);
        let shard = <A::Entity as TextSharded>::shard(text);
        if shard != self.shard() {
            return Err(Error::internal(format!(
                "the text {text:?} of {} belongs to {shard} and can't be claimed on {}",
                table::<A::Entity>(),
                self.shard()
            )));
        }
        if self.is_retired::<A::Entity>(text).await? {
            return Ok(false);
        }
        // The cast is safe, because a shard's number is below 8,192.
        row.set(shard_column, (shard.number() as i16).into());
        row.set(text_column, text.into());
        self.insert_row(row, [shard_column, text_column]).await
    }

    /// Deletes the row of a text and lets nobody claim it again; see [`Self::retire_name`]. Returns `false`
    /// if there is no such row.
    ///
    /// # Errors
    /// Internal, if the text belongs to another shard; any database error.
    pub async fn retire_text<E: TextSharded>(&self, text: &str) -> Result<bool> {
        self.check_name(text)?;
        let shard = self.shard().number() as i16;
        let row = E::delete_many().filter(E::SHARD.eq(shard)).filter(E::TEXT.eq(text));
        let deleted = row.exec(self.connection()).await?.rows_affected > 0;
        if deleted {
            self.retire::<E>(text).await?;
        }
        Ok(deleted)
    }

    async fn retire<E: EntityTrait>(&self, name: &str) -> Result<()> {
        let sql = "INSERT INTO tripod_retired_name (shard, entity, hash) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        self.execute(sql, self.retired_key::<E>(name)).await.map(drop)
    }

    async fn is_retired<E: EntityTrait>(&self, name: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM tripod_retired_name WHERE shard = $1 AND entity = $2 AND hash = $3";
        let retired = statement(self.connection(), sql, self.retired_key::<E>(name));
        Ok(self.connection().query_one_raw(retired).await?.is_some())
    }

    fn retired_key<E: EntityTrait>(&self, name: &str) -> [Value; 3] {
        let shard = self.shard().number() as i16;
        [shard.into(), table::<E>().into(), Sha256::digest(name).to_vec().into()]
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
