//! Edges between rows: follows, likes, memberships. Kept on both ends' shards, counted exactly.
//!
//! As in TAO (Bronson et al., 2013) each edge is stored twice: at `from` as a forward edge, for "whom
//! do I ...", and at `to` as its inverse, for "who ... me". The forward edge is the authority: it
//! commits together with a job that writes the inverse, and the inverse is also written at once where
//! its shard can be reached, so that the job is for the crash. Changes of one edge apply in order: each
//! carries a version, kept for removed edges too, and an older one never overwrites a newer.

mod edge;
mod edge_cache;
mod inverse;
mod read;
mod table;
mod walk;

pub use edge::{Edge, Graph};
pub use inverse::{RemoveEdges, WriteInverse};
pub use read::{EdgePosition, Ends};
pub use table::MIGRATION;
pub use walk::SourceWalk;
