//! The entity: an account. It lives on the shard of its first user name's hash.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::{Cached, Sharded};

use crate::posts::Photo;

/// The id of an account.
pub type AccountId = Id<Entity>;

/// An account: all of it may be shown to whoever sees it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize, Sharded, Cached)]
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
    pub avatar: Option<Photo>,
    pub post_count: i64,
    /// Deleted accounts are seen by nobody; what is left of them is erased by a job. The row
    /// stays, so that nobody can take the name and be mistaken for its first owner.
    pub deleted: bool,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
