//! A comment. It lives on its post's shard.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod::{NoRelations, Sharded};

use super::account::AccountId;
use super::entities::Entities;
use super::post::PostId;

/// The id of a comment.
pub type CommentId = Id<Entity>;

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded)]
#[sea_orm(table_name = "comment")]
#[sharded(by = post_id)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub post_id: PostId,
    pub author_id: AccountId,
    pub text: String,
    /// The comment of the same post that it replies to, if it is a reply. A reply has no replies.
    pub parent_id: Option<CommentId>,
    /// Written in the transaction that adds or removes a reply.
    pub reply_count: i64,
    /// Null in comments of earlier versions.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub entities: Option<Entities>,
}
