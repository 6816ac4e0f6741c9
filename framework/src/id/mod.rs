//! Typed 64-bit ids that sort by time and encode the shard of their row.
//!
//! 41 bits of milliseconds, 13 bits of logical shard, 10 bits of sequence: the layout that Instagram
//! published in 2012. `id` knows no database: a generated id is only a proposal until a row is claimed
//! under it ([`crate::shard::Tx::insert`]). Ids are never negative: the highest of the 41 bits is the
//! sign, and generating past it is an error, not a wrap.

mod clock;
mod generator;
mod layout;
mod sql;
mod typed;

pub use clock::Clock;
pub(crate) use clock::date;
pub use generator::IdGenerator;
pub use layout::{EPOCH_MS, LAST_INSTANT_MS, SEQUENCES_PER_MS, SHARDS, Shard, shard_of_id_sql, timestamp_ms};
pub use typed::{Id, IdMap, IdOf, IdSet};
