//! An account. It lives on the shard of the hash of its first user name.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod::media::Picture;
use tripod::{Cached, NoRelations, Sharded};

/// The id of an account.
pub type AccountId = Id<Entity>;

/// An account: every field may be shown to anyone who may see the account.
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
    /// Deleted accounts are hidden from everyone, and a job erases their data. The row stays, so that no
    /// one can take the name and be mistaken for its first owner.
    pub deleted: bool,
}
