//! The entities of the club: gardeners and the cuttings they share. The edges: who follows whom, and who
//! wants what.

// ANCHOR: use
use tripod::Edge;
use tripod::access::Viewer;
use tripod::db::{CreateTables, Migration, TableDef};
use tripod::id::Id;

pub type GardenerId = Id<gardener::Entity>;
pub type CuttingId = Id<cutting::Entity>;
// ANCHOR_END: use

// ANCHOR: gardener
pub mod gardener {
    use sea_orm::entity::prelude::*;
    use tripod::{NoRelations, Sharded, id::Id};

    #[derive(Clone, Debug, DeriveEntityModel, NoRelations, Sharded)]
    #[sea_orm(table_name = "gardener")]
    #[sharded(by = id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub name: String,
    }
}
// ANCHOR_END: gardener

// ANCHOR: cutting
pub mod cutting {
    use sea_orm::entity::prelude::*;
    use tripod::{Cached, NoRelations, Sharded, TimelineItem, id::Id, media::Picture};

    #[derive(Clone, Debug, DeriveEntityModel, NoRelations, Sharded, Cached, TimelineItem)]
    #[sea_orm(table_name = "cutting")]
    #[sharded(by = gardener_id)]
    #[cached(ttl = "10m")]
    #[timeline(name = "feed", audience = super::Follow)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub gardener_id: super::GardenerId,
        pub caption: String,
        #[sea_orm(column_type = "JsonBinary")]
        pub photo: Picture,
        pub private: bool,
    }
}

/// Whether the viewer may see a cutting.
pub fn may_see(viewer: Viewer, cutting: &cutting::Model) -> bool {
    !cutting.private || viewer.is(cutting.gardener_id)
}
// ANCHOR_END: cutting

// ANCHOR: edges
/// A gardener follows another.
#[derive(Edge)]
#[edge(name = "follow", from = gardener::Entity, to = gardener::Entity)]
pub struct Follow;

/// A gardener wants a cutting.
#[derive(Edge)]
#[edge(name = "want", from = gardener::Entity, to = cutting::Entity)]
pub struct Want;
// ANCHOR_END: edges

// ANCHOR: migration
pub const TABLES: Migration = || {
    let cutting = TableDef::sharded("cutting").id_of("gardener_id").text("caption").json("photo");
    CreateTables::new("m20261127_000001_cuttings")
        .create(TableDef::sharded("gardener").text("name"))
        .create(cutting.boolean("private").index("cutting_by_gardener", &["gardener_id", "id"]))
        .boxed()
};
// ANCHOR_END: migration
