//! Comments: they live on their post's shard, and are counted there.

pub mod comment;
mod handlers;

pub use handlers::*;
