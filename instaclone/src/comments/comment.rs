//! The entity: a comment.

use sea_orm::entity::prelude::*;
use tripod::Sharded;
use tripod::id::Id;

use crate::accounts::account::AccountId;
use crate::posts::post::PostId;

/// The id of a comment.
pub type CommentId = Id<Entity>;

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "comment")]
#[sharded(by = post_id)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub post_id: PostId,
    pub author_id: AccountId,
    pub text: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
