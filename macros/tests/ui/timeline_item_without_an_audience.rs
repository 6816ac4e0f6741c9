//! Nothing says who follows.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::{Sharded, TimelineItem};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, TimelineItem)]
#[sea_orm(table_name = "note")]
#[sharded(by = author_id)]
#[timeline(name = "home")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub author_id: Id<Entity>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn main() {}
