//! The bits of an id: 41 of time, 13 of shard, 10 of sequence. They never change.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Milliseconds from the Unix epoch to the epoch of ids, 2025-01-01T00:00:00Z.
pub const EPOCH_MS: u64 = 1_735_689_600_000;
/// The number of logical shards, which fits in 13 bits.
pub const SHARDS: u16 = 1 << SHARD_BITS;
/// Ids that one shard can generate per millisecond, counted in 10 bits.
pub const SEQUENCES_PER_MS: u64 = 1 << SEQUENCE_BITS;
/// The last representable instant, in milliseconds since [`EPOCH_MS`]: 2059-11-04. One more would set
/// the sign bit of the signed 64-bit columns that store ids.
pub const LAST_INSTANT_MS: u64 = (1 << 40) - 1;

pub(super) const SEQUENCE_BITS: u32 = 10;
const SHARD_BITS: u32 = 13;
const SHARD_MASK: i64 = (1 << SHARD_BITS) - 1;

/// A logical shard: one of 8,192 slices of the data, held by one physical database at a time.
///
/// ```
/// use tripod::id::Shard;
/// assert_eq!(Shard::new(8191).unwrap().number(), 8191);
/// assert!(Shard::new(8192).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(u16);

impl Shard {
    /// The shard with this number.
    ///
    /// # Errors
    /// Invalid, if `number` is [`SHARDS`] or more.
    pub fn new(number: u16) -> Result<Self> {
        if number < SHARDS {
            Ok(Self(number))
        } else {
            Err(Error::invalid(format!("there is no shard {number}: the last one is {}", SHARDS - 1)))
        }
    }

    /// The shard of a text: the first 8 bytes of its SHA-256, big-endian, modulo 8,192. Stored rows are
    /// found by it, so it must never change; hence a standard hash.
    pub fn of_text(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let first = u64::from_be_bytes(std::array::from_fn(|i| digest[i]));
        Self((first % u64::from(SHARDS)) as u16)
    }

    /// The shard encoded in an id.
    pub fn of_id(id: i64) -> Self {
        Self(((id >> SEQUENCE_BITS) & SHARD_MASK) as u16)
    }

    /// The shard's number, 0 to 8,191.
    pub fn number(self) -> u16 {
        self.0
    }

    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..SHARDS).map(Self)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

/// SQL for the number of the shard encoded in an id column, valid on SQLite and PostgreSQL.
///
/// ```
/// assert_eq!(tripod::id::shard_of_id_sql("note.id"), "((note.id >> 10) & 8191)");
/// ```
pub fn shard_of_id_sql(column: &str) -> String {
    format!("(({column} >> {SEQUENCE_BITS}) & {SHARD_MASK})")
}

/// When an id was generated, in milliseconds since the Unix epoch.
pub fn timestamp_ms(id: i64) -> u64 {
    (id as u64 >> (SEQUENCE_BITS + SHARD_BITS)) + EPOCH_MS
}

/// Combines the three parts. Callers check their ranges.
pub(super) fn compose(ms_since_epoch: u64, shard: Shard, sequence: u64) -> i64 {
    debug_assert!(ms_since_epoch <= LAST_INSTANT_MS && sequence < SEQUENCES_PER_MS);
    ((ms_since_epoch << (SHARD_BITS + SEQUENCE_BITS)) | (u64::from(shard.0) << SEQUENCE_BITS) | sequence)
        as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_come_back() {
        let shard = Shard::new(8191).unwrap();
        let id = compose(LAST_INSTANT_MS, shard, 1023);
        assert_eq!(id, i64::MAX, "all 63 bits below the sign are used");
        assert_eq!(Shard::of_id(id), shard);
        assert_eq!(timestamp_ms(id), LAST_INSTANT_MS + EPOCH_MS);
        assert_eq!(compose(0, Shard::new(0).unwrap(), 0), 0);
    }

    #[test]
    fn the_hash_of_a_text_is_fixed_for_ever() {
        // From `printf kevin | sha256sum`: the first 16 digits, modulo 8192.
        assert_eq!(Shard::of_text("kevin").number(), (0x85f5_e104_31f6_9bc2u64 % 8192) as u16);
        assert_eq!(Shard::of_text("").number(), (0xe3b0_c442_98fc_1c14u64 % 8192) as u16);
    }
}
