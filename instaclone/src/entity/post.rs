//! A post. It lives on its author's shard and fans out to the author's followers.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::media::{MediaKey, Picture};
use tripod::{Cached, NoRelations, Sharded, TimelineItem};

use super::Follow;
use super::account::AccountId;

/// The id of a post.
pub type PostId = Id<Entity>;

/// A post.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded, Cached, TimelineItem)]
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
    /// Written in the transaction that adds or removes a comment, which lives on this shard, too.
    pub comment_count: i64,
}

/// The photos of a post, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Photos(pub Vec<Picture>);

impl Photos {
    /// The keys of their files.
    pub fn keys(&self) -> tripod::Result<Vec<MediaKey>> {
        Ok(self.0.iter().map(Picture::keys).collect::<tripod::Result<Vec<_>>>()?.concat())
    }
}
