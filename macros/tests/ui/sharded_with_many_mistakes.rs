//! Every mistake is told at once.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "note")]
#[sharded(by = autor_id, by = id, colour = red)]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: Id<Entity>,
    pub author_id: Id<Entity>,
    #[sharded(by = id)]
    pub text: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
