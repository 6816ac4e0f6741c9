//! Something else is the primary key.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "note")]
#[sharded(by = author_id)]
pub struct Model {
    pub id: Id<Entity>,
    pub author_id: Id<Entity>,
    #[sea_orm(primary_key, auto_increment = false)]
    pub number: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
