//! Tripod: a framework for small teams that build social apps.
//!
//! In 2010-2011 three engineers took Instagram from 0 to 14 million users by three rules: keep things
//! very simple; don't reinvent the wheel; use proven, solid technology. Tripod packages what they
//! assembled by hand: logical sharding, time-sortable ids, fan-out to feeds, jobs that commit with their
//! row, and media that is safe to show. One person runs it on a laptop with nothing installed.
//!
//! # How an app looks
//! Entities are sea-orm entities with one more derive. Edges and jobs are small types. An [`App`]
//! collects them and runs in the role given on the command line.
//!
//! ```no_run
//! mod account {
//!     # use sea_orm::entity::prelude::*;
//!     use tripod::{id::Id, Sharded};
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
//!     #[sea_orm(table_name = "account")]
//!     #[sharded(by = id)]                              // lives where its own id says
//!     pub struct Model {
//!         #[sea_orm(primary_key, auto_increment = false)]
//!         pub id: Id<Entity>,
//!     }
//!     # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     # pub enum Relation {}
//!     # impl ActiveModelBehavior for ActiveModel {}
//! }
//! mod note {
//!     # use sea_orm::entity::prelude::*;
//!     use tripod::{id::Id, Sharded, TimelineItem};
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, TimelineItem)]
//!     #[sea_orm(table_name = "note")]
//!     #[sharded(by = author_id)]                       // lives on its author's shard
//!     #[timeline(name = "home", audience = super::Follow)] // fans out to the author's followers
//!     pub struct Model {
//!         #[sea_orm(primary_key, auto_increment = false)]
//!         pub id: Id<Entity>,
//!         pub author_id: Id<super::account::Entity>,
//!         pub text: String,
//!     }
//!     # #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     # pub enum Relation {}
//!     # impl ActiveModelBehavior for ActiveModel {}
//! }
//!
//! #[derive(tripod::Edge)]
//! #[edge(name = "follow", from = account::Entity, to = account::Entity)]
//! pub struct Follow;
//!
//! #[tokio::main]
//! async fn main() -> std::process::ExitCode {
//!     tripod::App::builder("notes", "1.0.0")
//!         .entity::<account::Entity>()
//!         .entity::<note::Entity>()
//!         .edge::<Follow>()
//!         .run()
//!         .await
//! }
//! ```
//!
//! # Reading order
//! This file declares the modules in dependency order: each imports only from those above it. [`id`] and
//! [`shard`] locate data, [`queue`] runs work in the background, [`index`] finds rows by a key, [`graph`] and
//! [`timeline`] determine what each account sees, and [`web`] and [`app`] serve it.

extern crate self as tripod;

pub mod error;

pub mod config;
pub mod id;
mod permissions;

pub mod telemetry;

pub mod db;
pub mod redis;

pub mod cache;

pub mod access;

pub mod shard;

pub mod queue;

pub mod graph;
pub mod index;
pub mod media;

pub mod timeline;

pub mod web;

pub mod app;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(any(test, feature = "testing"))]
pub mod conformance;

/// Re-exports used by the derives' generated code.
#[doc(hidden)]
pub mod __private {
    pub use {sea_orm, serde, serde_json};
}

pub use app::{App, RenderProblem, RequestHead, WebPages};
pub use error::{BoxError, Error, Result};
pub use tripod_macros::{Cached, Edge, Index, Job, NoRelations, Sharded, TimelineItem};
