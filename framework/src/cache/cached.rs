//! What a derive tells of a type: under which name, in which version and how long it is cached.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A type whose values are cached. Derived by [`crate::Cached`]; on the `Model` of an entity it lets
/// [`crate::shard::Shards::get`] read rows through the cache.
pub trait Cached: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What stands in the keys: an entity's table.
    const NAME: &'static str;
    /// Tells values of this shape from those of other versions of the program: the derive makes it of
    /// the fields' names and types.
    const VERSION: u64;
    /// The age at which a value is no longer given, whatever has happened. From half of it on one
    /// reader loads it anew while the others still get it.
    const TTL: Duration;
}

/// What the values of a region have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// See [`Cached::NAME`].
    pub name: String,
    /// See [`Cached::VERSION`].
    pub version: u64,
    /// See [`Cached::TTL`].
    pub ttl: Duration,
}

impl Policy {
    /// That of a type.
    pub fn of<T: Cached>() -> Self {
        Self { name: T::NAME.to_owned(), version: T::VERSION, ttl: T::TTL }
    }
}
