//! What every backend of an interface must do. Each suite takes stores that are open and empty.

pub mod graph;
pub mod kept;
pub mod queue;
pub mod shards;
pub mod timelines;
