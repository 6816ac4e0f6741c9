//! The tables of the shards: which columns determine a row's shard and its owner.

use sea_orm::{ColumnTrait, EntityName, EntityTrait, IdenStatic, Iterable, PrimaryKeyToColumn};

use super::{Sharded, TextSharded};
use crate::id::shard_of_id_sql;

/// A table as its derives describe it, for start-up, moves, erasure, export and backup.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// Its columns, in the entity's order.
    pub columns: Vec<Column>,
    /// The columns of its primary key, in order.
    pub key: Vec<String>,
    /// How a row's shard is found.
    pub placement: Placement,
    /// The column that holds the owner's id, and the owner's table. `None` if a text or the row's own id
    /// determines the shard.
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

/// How a row's shard is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// The id in this column encodes the shard.
    Id(String),
    /// This column holds the shard's number.
    Shard(String),
}

impl Table {
    /// The table of an entity whose rows live on their owner's shard.
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

    /// SQL for the number of a row's shard.
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
