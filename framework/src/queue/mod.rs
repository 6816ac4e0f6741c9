//! Jobs that commit with the row they belong to: an outbox in each physical database.
//!
//! [`Tx::enqueue`](crate::shard::Tx::enqueue) writes a job inside the caller's transaction, so there is
//! never a row without its consequences or the other way round. Jobs run at least once; their effects must be
//! idempotent. Invariants: a job's id carries its shard, so that jobs move with their rows; a
//! worker's claim is a lease, and what it writes about the job is fenced by the attempt's number,
//! so that one who wakes up late changes nothing; a name that is not registered is an error when
//! enqueued and at start: every queued job has a handler.

mod job;
mod lane;
mod listing;
mod many;
mod outbox;
mod registry;
mod run;
mod schedule;
mod store;
mod worker;

pub use job::{Job, Unique};
pub use lane::{DEFAULT_LANE, Lane};
pub use listing::{JobState, ListedJob, ListedLane};
pub use outbox::{JobId, Queue};
pub use registry::Registry;
pub use run::{JobRun, Run};
pub use schedule::SCHEDULE_MIGRATION;
pub use store::{MIGRATION, Queued, WAITS_MIGRATION};
pub use worker::Worker;
