//! A ranking of posts and tags: what explore shows, the same for everyone before visibility. Each is a row of
//! its own, so that whoever reads it page by page goes on in the one that they began with.

use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::{Cached, NoRelations, Sharded};

use super::post::PostId;

/// The id of a ranking, by which the latest is known.
pub type RankingId = Id<Entity>;

/// A ranking. All live on one shard.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, NoRelations, Sharded, Cached)]
#[sea_orm(table_name = "ranking")]
#[sharded(by = id)]
#[cached(ttl = "1h")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    #[sea_orm(column_type = "JsonBinary")]
    pub content: Ranked,
}

/// What is ranked, the highest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Ranked {
    pub posts: Vec<RankedPost>,
    /// The names of tags.
    pub tags: Vec<String>,
}

/// A post and its rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankedPost {
    pub post: PostId,
    /// Its likes when it was ranked.
    pub likes: u64,
    /// Its likes, of which each counts the less the longer ago it was.
    pub score: f64,
}

impl Model {
    /// The tags that rise, the fastest first.
    pub fn rising(&self) -> impl Iterator<Item = &str> {
        self.content.tags.iter().map(String::as_str)
    }
}
