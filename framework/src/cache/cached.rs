//! What a derive tells of a type: under which name, in which version and how long it is cached.

use std::any::TypeId;
use std::time::Duration;

use super::local::Local;

/// A type whose values are cached. Derived by [`crate::Cached`]; on the `Model` of an entity it lets
/// [`Read`](crate::shard::Read) find rows through the cache.
///
/// A `Model` need not be `Serialize` for it, and should not be: replies are made of views.
pub trait Cached: Sized + Send + Sync + 'static {
    /// What stands in the keys: an entity's table.
    const NAME: &'static str;
    /// Tells values of this shape from those of other versions of the program: the derive makes it of
    /// the fields' names and types.
    const VERSION: u64;
    /// The age at which a value is no longer given, whatever has happened. From half of it on one
    /// reader loads it anew while the others still get it.
    const TTL: Duration;

    /// What is made of a value once and kept beside it in this process, for as long as the value is: the
    /// parts of replies that are the same for every viewer, such as a [`Rendered`](crate::web::Rendered).
    /// `()` where nothing is; see [`Visible::view`](crate::access::Visible::view).
    type View: Send + Sync + 'static;

    /// The value as Redis keeps it: JSON.
    ///
    /// # Errors
    /// Those of a field that can't be written as JSON.
    fn encode(&self) -> serde_json::Result<Vec<u8>>;

    /// The value that Redis has kept.
    ///
    /// # Errors
    /// When it is not one of this type.
    fn decode(json: &[u8]) -> serde_json::Result<Self>;
}

/// How values of a type are written and read.
pub(super) struct Codec<T> {
    pub(super) encode: fn(&T) -> serde_json::Result<Vec<u8>>,
    pub(super) decode: fn(&[u8]) -> serde_json::Result<T>,
    /// The weight of a value of so many bytes of JSON.
    pub(super) weight: fn(usize) -> u32,
}

/// A view is reckoned at so many times its row's JSON: it holds that of a reply as text, and its parts.
const VIEW_FACTOR: usize = 4;

impl<T: Cached> Codec<T> {
    /// That of a cached type.
    pub(super) fn of_cached() -> Self {
        let weight = |bytes: usize| {
            let has_view = TypeId::of::<T::View>() != TypeId::of::<()>();
            Local::weight(if has_view { bytes.saturating_mul(1 + VIEW_FACTOR) } else { bytes })
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

/// What the values of a region have in common.
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
    /// That of a type.
    pub fn of<T: Cached>() -> Self {
        Self { name: T::NAME.to_owned(), version: T::VERSION, ttl: T::TTL }
    }
}
