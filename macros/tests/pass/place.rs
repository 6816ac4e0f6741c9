//! An entity of sea-orm's newer form, `#[sea_orm::model]`, with a relation, a field named by a
//! keyword and a column that is named otherwise.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod_macros::Sharded;

use crate::author;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
#[sea_orm(table_name = "place")]
#[sharded(by = r#type)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    #[sea_orm(enum_name = "FoundBy")]
    pub r#type: Id<author::Entity>,
    #[sea_orm(self_ref, relation_enum = "Within", from = "within_id", to = "id")]
    pub within: HasOne<Entity>,
    pub within_id: Option<Id<Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
