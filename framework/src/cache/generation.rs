//! The generation of the databases: a number that is the same in all processes, as long as they read from
//! the same servers.
//!
//! After a failover, processes move to the new primary one after the other, and a process that still reads
//! from the old one may put what it read into Redis. Everything stored there bears the generation of its
//! reader, and others ignore it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The current generation; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Generation(Arc<AtomicU64>);

impl Generation {
    pub(crate) fn number(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(super) fn set(&self, number: u64) {
        self.0.store(number, Ordering::Release);
    }

    /// The generation in 16 hexadecimal digits.
    pub(crate) fn digits(&self) -> String {
        format!("{:016x}", self.number())
    }

    /// A server's identity of 16 hexadecimal digits, and the generation, in as many.
    pub(super) fn of_server(&self, identity: &str) -> Option<String> {
        let identity = u64::from_str_radix(identity, 16).ok()?;
        Some(format!("{:016x}", identity ^ self.number()))
    }
}
