//! What `#[derive(Cached)]` states about a type: its name in the cache, its version and how long it is
//! cached.

use std::any::TypeId;
use std::time::Duration;

use super::entry::Entry;

/// A type whose values are cached. Derived by [`crate::Cached`]. On the `Model` of an entity it makes
/// [`Read`](crate::shard::Read) look rows up in the cache first.
///
/// The `Model` need not be `Serialize`, and should not be: replies are made of views.
pub trait Cached: Sized + Send + Sync + 'static {
    /// The name used in keys: an entity's table.
    const NAME: &'static str;
    /// Distinguishes values of this shape from those written by other versions of the program. The
    /// derive computes it from the fields' names and types.
    const VERSION: u64;
    /// The age at which a value expires. After about half of it, one reader reloads the value while the
    /// others are still served the old one.
    const TTL: Duration;

    /// Computed once from a value and kept beside it in this process for as long as the value is cached:
    /// the parts of replies that are the same for every viewer, such as a
    /// [`Rendered`](crate::web::Rendered). `()` if there are none; see
    /// [`Visible::view`](crate::access::Visible::view).
    type View: Send + Sync + 'static;

    /// Encodes the value for Redis, as JSON.
    ///
    /// # Errors
    /// When a field can't be written as JSON.
    fn encode(&self) -> serde_json::Result<Vec<u8>>;

    /// Decodes a value from Redis.
    ///
    /// # Errors
    /// When the JSON is not a value of this type.
    fn decode(json: &[u8]) -> serde_json::Result<Self>;
}

/// How values of a type are encoded, decoded and weighed.
pub(super) struct Codec<T> {
    pub(super) encode: fn(&T) -> serde_json::Result<Vec<u8>>,
    pub(super) decode: fn(&[u8]) -> serde_json::Result<T>,
    /// The weight of a value, given the length of its JSON in bytes.
    pub(super) weight: fn(usize) -> u32,
}

/// The estimated size of a view, as a multiple of its row's JSON: it holds the JSON of a reply and its
/// parts.
const VIEW_FACTOR: usize = 4;

impl<T: Cached> Codec<T> {
    /// The codec of a cached type.
    pub(super) fn of_cached() -> Self {
        let weight = |bytes: usize| {
            let has_view = TypeId::of::<T::View>() != TypeId::of::<()>();
            Entry::weight(if has_view { bytes.saturating_mul(1 + VIEW_FACTOR) } else { bytes })
        };
        Self { encode: T::encode, decode: T::decode, weight }
    }
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Codec<T> {}

/// Settings that all values of a region share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionConfig {
    /// See [`Cached::NAME`].
    pub name: String,
    /// See [`Cached::VERSION`].
    pub version: u64,
    /// See [`Cached::TTL`].
    pub ttl: Duration,
}

impl RegionConfig {
    /// The settings of a cached type.
    pub fn of<T: Cached>() -> Self {
        Self { name: T::NAME.to_owned(), version: T::VERSION, ttl: T::TTL }
    }
}
