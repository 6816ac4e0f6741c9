//! What the club keeps: runners, their names, their runs.

use sea_orm::sea_query::{ColumnDef, Index, Table};
use tripod::db::{CreateTables, Migration};

// ANCHOR: runner
pub mod runner {
    use sea_orm::entity::prelude::*;
    use tripod::{Sharded, id::Id};

    pub type RunnerId = Id<Entity>;

    /// A runner: lives on the shard of the name's hash, together with the name.
    #[derive(Clone, Debug, DeriveEntityModel, Sharded, serde::Serialize, utoipa::ToSchema)]
    #[schema(as = Runner)]
    #[sea_orm(table_name = "runner")]
    #[sharded(by = id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RunnerId,
        pub name: String,
        pub total_m: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod name {
    use sea_orm::entity::prelude::*;
    use tripod::Sharded;

    /// A name and whose it is: found by the name itself.
    #[derive(Clone, Debug, DeriveEntityModel, Sharded)]
    #[sea_orm(table_name = "name")]
    #[sharded(text = name)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i16,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub runner_id: super::runner::RunnerId,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
// ANCHOR_END: runner

// ANCHOR: run
pub mod run {
    use sea_orm::entity::prelude::*;
    use tripod::{Sharded, TimelineItem, id::Id};

    pub type RunId = Id<Entity>;

    /// A run: lives on its runner's shard and fans out to those who follow the runner.
    #[derive(Clone, Debug, DeriveEntityModel, Sharded, TimelineItem, serde::Serialize, utoipa::ToSchema)]
    #[schema(as = Run)]
    #[sea_orm(table_name = "run")]
    #[sharded(by = runner_id)]
    #[timeline(name = "feed", audience = crate::Follow)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: RunId,
        pub runner_id: super::runner::RunnerId,
        pub distance_m: i64,
        pub duration_s: i64,
        pub note: String,
        pub private: bool,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}
// ANCHOR_END: run

// ANCHOR: schema
/// The tables, written out: a migration does next year what it did when it was written.
pub const TABLES: Migration = || {
    let big = |name| ColumnDef::new(name).big_integer().not_null().take();
    let text = |name| ColumnDef::new(name).text().not_null().take();
    let flag = |name| ColumnDef::new(name).boolean().not_null().take();
    let runner = Table::create()
        .table("runner")
        .col(big("id").primary_key())
        .col(text("name"))
        .col(big("total_m"))
        .take();
    let name = Table::create()
        .table("name")
        .col(ColumnDef::new("shard").small_integer().not_null())
        .col(text("name"))
        .col(big("runner_id"))
        .primary_key(Index::create().col("shard").col("name"))
        .take();
    let run = Table::create()
        .table("run")
        .col(big("id").primary_key())
        .col(big("runner_id"))
        .col(big("distance_m"))
        .col(big("duration_s"))
        .col(text("note"))
        .col(flag("private"))
        .take();
    let by_runner = Index::create().name("run_by_runner").table("run").col("runner_id").col("id").take();
    CreateTables::new("m20261122_000201_club").table(runner).table(name).table(run).index(by_runner).boxed()
};
// ANCHOR_END: schema
