//! An edge that ends edges between rows of other entities.

use tripod_macros::Edge;

mod entities {
    macro_rules! entity {
        ($table:ident) => {
            pub mod $table {
                use sea_orm::entity::prelude::*;
                #[derive(Clone, Debug, PartialEq, DeriveEntityModel, tripod_macros::Sharded)]
                #[sea_orm(table_name = "any")]
                #[sharded(by = id)]
                pub struct Model {
                    #[sea_orm(primary_key, auto_increment = false)]
                    pub id: tripod::id::Id<Entity>,
                }
                #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
                pub enum Relation {}
                impl ActiveModelBehavior for ActiveModel {}
            }
        };
    }
    entity!(account);
    entity!(post);
}
use entities::{account, post};

#[derive(Edge)]
#[edge(name = "like", from = account::Entity, to = post::Entity)]
pub struct Like;

#[derive(Edge)]
#[edge(name = "block", from = account::Entity, to = account::Entity, ends = Like)]
pub struct Block;

fn main() {}
