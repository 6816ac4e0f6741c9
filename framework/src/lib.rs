//! Placeholder.
extern crate self as tripod;
pub mod access;
pub mod config;
pub mod db;
pub mod error;
pub mod graph;
pub mod id;
pub mod queue;
pub mod shard;
pub mod timeline;
pub use error::{Error, Result};
