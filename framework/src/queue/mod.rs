//! Jobs that commit with the row they belong to: an outbox in each physical database.
//!
//! [`Queue::enqueue`] writes a job inside the caller's transaction, so there is never a row
//! without its consequences or the other way round. Jobs run at least once; their effects must be
//! idempotent. Invariants: a job's id carries its shard, so that jobs move with their rows; a
//! worker's claim is a lease, and what it writes about the job is fenced by the attempt's number,
//! so that one who wakes up late changes nothing; a name that is not registered is an error when
//! enqueued and at start, never a job that waits for nobody.

mod job;
mod outbox;
mod store;
mod worker;

pub use job::{Job, JobRun, Registry, Run};
pub use outbox::{DeadJob, Queue};
pub use store::MIGRATION;
pub use worker::Worker;
