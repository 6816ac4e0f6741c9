//! Placeholder.
extern crate self as tripod;
pub mod error;
pub mod id;
pub mod config;
pub mod telemetry;
pub mod db;
pub mod access;
pub mod shard;
pub mod queue;
pub mod graph;
pub mod media;
pub mod timeline;
pub mod web;
pub mod app;
pub use app::{App, Tripod};
pub use error::{Error, Result};
pub use tripod_macros::{Edge, Job, Sharded, TimelineItem};
