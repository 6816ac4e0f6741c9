//! An account. It lives on the shard of its first user name's hash.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod::media::Picture;
use tripod::{Cached, NoRelations, Sharded};

/// The id of an account.
pub type AccountId = Id<Entity>;

/// An account: all of it may be shown to whoever sees it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded, Cached)]
#[sea_orm(table_name = "account")]
#[sharded(by = id)]
#[cached(ttl = "10m")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub username: String,
    pub full_name: String,
    pub bio: String,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub avatar: Option<Picture>,
    pub post_count: i64,
    /// Deleted accounts are seen by nobody; what is left of them is erased by a job. The row
    /// stays, so that nobody can take the name and be mistaken for its first owner.
    pub deleted: bool,
}
