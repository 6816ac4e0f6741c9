//! Placeholder.
extern crate self as tripod;
pub mod access;
pub mod config;
pub mod db;
pub mod error;
pub mod id;
pub mod shard;
pub use error::{Error, Result};
