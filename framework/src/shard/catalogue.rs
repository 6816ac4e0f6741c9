//! What a table is to the shards: which of its columns say where a row lives and whose it is.

use sea_orm::{ColumnTrait, EntityName, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};

use super::{Sharded, TextSharded};
use crate::id::shard_of_id_sql;

/// A table and what the derives say of it. Start-up, moves, erasure, export and backup go by this.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in the entity's order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, in order.
    pub key: Vec<String>,
    /// What says on which shard a row lives.
    pub placement: Placement,
    /// Whose the rows are: the column that holds the owner's id, and the owner's table. `None` where a
    /// text or the row's own id decides.
    pub owner: Option<(String, &'static str)>,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as sea-orm names it.
    pub kind: sea_orm::ColumnType,
    /// Whether it may be null.
    pub is_nullable: bool,
}

/// What says on which shard a row lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The id in this column carries the shard.
    Id(String),
    /// This column holds the shard's number.
    Shard(String),
}

impl Table {
    /// The table of an entity whose rows live with their owner.
    pub(crate) fn sharded<E: Sharded>() -> Self {
        let owner = (E::ID.as_str() != E::OWNER.as_str())
            .then(|| (E::OWNER.as_str().to_owned(), E::Owner::default().table_name()));
        Self { owner, ..Self::of::<E>(Placement::Id(E::ID.as_str().to_owned())) }
    }

    /// The table of an entity whose rows are found by a text.
    pub(crate) fn text_sharded<E: TextSharded>() -> Self {
        Self::of::<E>(Placement::Shard(E::SHARD.as_str().to_owned()))
    }

    fn of<E: EntityTrait>(placement: Placement) -> Self {
        let columns = E::Column::iter().map(|column| {
            let definition = column.def();
            Column {
                name: column.as_str().to_owned(),
                kind: definition.get_column_type().clone(),
                is_nullable: definition.is_null(),
            }
        });
        let key = E::PrimaryKey::iter().map(|key| key.into_column().as_str().to_owned());
        Self {
            name: E::default().table_name(),
            columns: columns.collect(),
            key: key.collect(),
            placement,
            owner: None,
        }
    }

    /// The number of the shard on which a row lives, as SQL.
    ///
    /// ```
    /// # use tripod::shard::{Placement, Table};
    /// let table = Table { name: "note", columns: vec![], key: vec![], placement: Placement::Id("id".into()), owner: None };
    /// assert_eq!(table.shard_sql(), "((id >> 10) & 8191)");
    /// ```
    pub fn shard_sql(&self) -> String {
        match &self.placement {
            Placement::Id(column) => shard_of_id_sql(column),
            Placement::Shard(column) => column.clone(),
        }
    }
}
