//! Edges between rows: follows, likes, memberships. Stored on both ends' shards, with exact counts.
//!
//! As in TAO (Bronson et al., 2013) each edge is stored twice: at `from` as a forward edge, for "whom do
//! I ...", and at `to` as its inverse, for "who ... me". The forward edge is authoritative: it commits
//! together with a job that writes the inverse. The inverse is also written at once if its shard is
//! reachable, so the job matters only after a crash. Changes of one edge apply in order: each carries a
//! version, kept for removed edges too, and an older version never overwrites a newer one.
//!
//! There are no edges to or from rows that do not exist. Each end's shard checks its own row in the
//! transaction that writes the end, and the row can't be deleted until that commits. If there is no row to
//! point to, the forward edge is removed again: before the reply, or by the same job.
//!
//! A kind of edge can end others: a block ends follows, in both directions, and none can be added while it
//! exists.

mod audit;
mod batch;
mod combine;
mod edge;
mod edge_cache;
mod ended;
mod inverse;
mod most_linked;
mod owned;
mod read;
mod remove;
mod table;
mod walk;

pub use audit::{EdgeAudit, EdgeFault, FoundFaults};
pub use edge::{Edge, EdgeKind, Graph, ended_by};
pub use inverse::WriteInverse;
pub use owned::DeleteOwned;
pub use read::{EdgePosition, Ends};
pub use remove::RemoveEdges;
pub use table::MIGRATION;
pub use walk::SourceWalk;
