//! An entity that is found by a text.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

use crate::author;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "name")]
#[sharded(text = user_name)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_name: String,
    pub author_id: Id<author::Entity>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
