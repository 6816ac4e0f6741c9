//! What a derive tells of an entity: which of its columns decides where a row lives.

use sea_orm::EntityTrait;

use crate::id::{Id, Shard};

/// An entity whose rows live on the shard of their owner. Derived by [`crate::Sharded`].
pub trait Sharded: EntityTrait {
    /// Whose shard a row lives on; the entity itself, where its own id decides.
    type Owner: EntityTrait;
    /// The primary key, an `Id` of this entity.
    const ID: Self::Column;
    /// The column that holds the owner's id.
    const OWNER: Self::Column;

    /// A row's id.
    fn id(row: &Self::Model) -> Id<Self>;
}

/// An entity that is found by a text, such as a name: its rows live on the shard of that text's
/// hash, and its primary key is `(shard, text)`. Derived by [`crate::Sharded`] with `text = ...`.
pub trait TextSharded: EntityTrait {
    /// The column that holds the shard's number, first in the primary key.
    const SHARD: Self::Column;
    /// The column that holds the text.
    const TEXT: Self::Column;

    /// The shard a text belongs to.
    fn shard(text: &str) -> Shard {
        Shard::of_text(text)
    }
}
