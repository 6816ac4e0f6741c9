//! Edges between rows: follows, likes, memberships. Kept on both ends' shards, counted exactly.
//!
//! As in TAO (Bronson et al., 2013) each edge is stored twice: at `from` for "whom do I ...", at
//! `to` for "who ... me". The near end, at `from`, is the authority: it commits together with a
//! job that writes the far end, and the far end is also written at once where it can be reached,
//! so that the job is for the crash. Changes of one edge apply in order: each carries a version,
//! kept for removed edges too, and an older one never overwrites a newer.

mod cached;
mod edge;
mod far;
mod read;
mod table;

pub use edge::{Edge, Graph};
pub use far::WriteFarEnd;
pub use read::{EdgePage, Link};
pub use table::MIGRATION;
