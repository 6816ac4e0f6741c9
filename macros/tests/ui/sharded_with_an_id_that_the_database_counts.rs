//! `auto_increment = false` is missing.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "note")]
#[sharded(by = id)]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: Id<Entity>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
