//! The entries of the first level, and their keys.

use std::any::Any;
use std::sync::Arc;

use crate::error::Error;

/// The estimated overhead of an entry besides its value's JSON: moka's nodes, the key, this struct, and
/// the value's allocations. Measured by the bench `cache`, with glibc's allocator.
pub(super) const OVERHEAD_BYTES: u32 = 560;

/// A value of any type.
pub(super) type Erased = Arc<dyn Any + Send + Sync>;
/// The outcome of a flight: a value, its absence, or an error.
pub(super) type Answer = Result<Option<Erased>, Arc<Error>>;

/// Identifies a value: its region's number in this process, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) region: u32,
    pub(super) id: i64,
}

/// A cached entry.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) state: EntryState,
    /// When it was read from its database, in milliseconds of the clock.
    pub(super) loaded_ms: u64,
    /// When the value should be reloaded; it is still served after that.
    pub(super) fresh_until_ms: u64,
    /// When the entry expires.
    pub(super) expires_ms: u64,
    pub(super) bytes: u32,
}

impl Entry {
    /// The weight of an entry, given the size of its value's JSON in bytes.
    pub(super) fn weight(value_bytes: usize) -> u32 {
        u32::try_from(value_bytes).unwrap_or(u32::MAX).saturating_add(OVERHEAD_BYTES)
    }

    /// The value, if there is one.
    pub(super) fn value(&self) -> Option<Erased> {
        match &self.state {
            EntryState::Value(value) => Some(value.clone()),
            EntryState::Absent | EntryState::Blocked(_) => None,
        }
    }

    /// The same entry, fresh until `ms`.
    pub(super) fn fresh_until(mut self, ms: u64) -> Self {
        self.fresh_until_ms = ms;
        self
    }
}

/// What is cached under a key.
#[derive(Clone)]
pub(super) enum EntryState {
    Value(Erased),
    /// There is no value.
    Absent,
    /// The change with this number is in progress: readers go to the database, and nothing is cached.
    Blocked(u64),
}
