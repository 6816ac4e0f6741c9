//! The owner is an `Option`.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "note")]
#[sharded(by = author_id)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub author_id: Option<Id<Entity>>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
