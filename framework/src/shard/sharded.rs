//! The traits that the derives implement: which column of an entity determines a row's shard.

use sea_orm::{EntityTrait, IdenStatic, ModelTrait, Value};

use crate::id::{Id, Shard};

/// An entity whose rows live on their owner's shard. Derived by [`crate::Sharded`].
pub trait Sharded: EntityTrait {
    /// The entity whose shard a row lives on; the entity itself, if its own id decides.
    type Owner: Sharded;
    /// The primary key, an `Id` of this entity.
    const ID: Self::Column;
    /// The column that holds the owner's id.
    const OWNER: Self::Column;

    /// A row's id.
    fn id(row: &Self::Model) -> Id<Self>;

    /// The id of a row's owner.
    fn owner(row: &Self::Model) -> Id<Self::Owner> {
        match row.get(Self::OWNER) {
            Value::BigInt(Some(owner)) => Id::from_raw(owner),
            // The derive refuses a column of another type.
            _ => Id::from_raw(Self::id(row).raw()),
        }
    }
}

/// Where rows are found by their ids: a table, and the column of its ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowTable {
    /// The table's name.
    pub name: &'static str,
    /// The column of the ids.
    pub id: &'static str,
}

impl RowTable {
    /// The table of an entity.
    pub fn of<E: Sharded>() -> Self {
        Self { name: E::default().table_name(), id: E::ID.as_str() }
    }
}

/// An entity found by a text, such as a name: its rows live on the shard of the text's hash, and its
/// primary key is `(shard, text)`. Derived by [`crate::Sharded`] with `text = ...`.
pub trait TextSharded: EntityTrait {
    /// The column that holds the shard's number, first in the primary key.
    const SHARD: Self::Column;
    /// The column that holds the text.
    const TEXT: Self::Column;

    /// The shard of a text.
    fn shard(text: &str) -> Shard {
        Shard::of_text(text)
    }
}
