//! An entity with an owner that goes to timelines, and the edges and jobs about it.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod_macros::{Cached, Edge, Job, Sharded, TimelineItem};

use crate::author;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, Cached, TimelineItem)]
#[sea_orm(table_name = "note")]
#[sharded(by = author_id)]
#[cached(ttl = "1h")]
#[timeline(name = "home", audience = Follow)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub author_id: Id<author::Entity>,
    pub text: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

#[derive(Edge)]
#[edge(name = "follow", from = author::Entity, to = author::Entity)]
pub struct Follow;

#[derive(Edge)]
#[edge(name = "like", from = author::Entity, to = Entity)]
pub struct Like;

#[derive(Job, Serialize, Deserialize)]
#[job(name = "notes.share", retries = 3)]
pub struct Share {
    note: Id<Entity>,
}

#[derive(Job, Serialize, Deserialize)]
#[job(name = "forget")]
pub enum Forget {
    Note(Id<Entity>),
    All,
}

/// No entity: what is cached of it is under a name of its own.
#[derive(Serialize, Deserialize, Cached)]
#[cached(name = "draft", ttl = "30s")]
pub struct Draft {
    text: String,
}

/// The same shape, and yet another version.
#[derive(Serialize, Deserialize, Cached)]
#[cached(name = "draft", ttl = "30s", version = 1)]
pub struct LaterDraft {
    text: String,
}
