//! The entity: a post. It lives on its author's shard and fans out to the author's followers.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::{Cached, Sharded, TimelineItem};

use super::Photo;
use crate::accounts::account::AccountId;
use crate::follows::Follow;

/// The id of a post.
pub type PostId = Id<Entity>;

/// A post.
#[derive(
    Clone, Debug, PartialEq, Eq, DeriveEntityModel, Serialize, Deserialize, Sharded, Cached, TimelineItem,
)]
#[sea_orm(table_name = "post")]
#[sharded(by = author_id)]
#[cached(ttl = "10m")]
#[timeline(name = "feed", audience = Follow)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub author_id: AccountId,
    pub caption: String,
    pub location: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub photos: Photos,
    /// Kept in the transaction that adds or removes a comment, which lives on this shard, too.
    pub comment_count: i64,
}

/// The photos of a post, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Photos(pub Vec<Photo>);

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
