//! Edges between rows: follows, likes, memberships. Stored on both ends' shards, with exact counts.
//!
//! As in TAO (Bronson et al., 2013) each edge is stored twice: at `from` as a forward edge, for "whom do
//! I ...", and at `to` as its inverse, for "who ... me". The forward edge is authoritative: it commits
//! together with a job that writes the inverse. The inverse is also written at once if its shard is
//! reachable, so the job matters only after a crash. Changes of one edge apply in order: each carries a
//! version, kept for removed edges too, and an older version never overwrites a newer one.

mod edge;
mod edge_cache;
mod inverse;
mod owned;
mod read;
mod table;
mod walk;

pub use edge::{Edge, Graph};
pub use inverse::{RemoveEdges, WriteInverse};
pub use owned::DeleteOwned;
pub use read::{EdgePosition, Ends};
pub use table::MIGRATION;
pub use walk::SourceWalk;
