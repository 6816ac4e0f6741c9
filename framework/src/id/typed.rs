//! `Id<T>`: an id typed by its entity. A string in JSON, a 64-bit integer in SQL.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::layout::{EPOCH_MS, LAST_INSTANT_MS, compose};
use super::{Shard, clock, timestamp_ms};
use crate::error::Error;

/// The id of a `T`; `Id<User>` is not `Id<Post>`.
///
/// In JSON it is a string, because JavaScript cannot represent every 64-bit integer.
///
/// ```
/// use tripod::id::Id;
/// struct Note;
/// let id: Id<Note> = "42".parse()?;
/// assert_eq!(serde_json::to_string(&id).unwrap(), r#""42""#);
/// assert!("-1".parse::<Id<Note>>().is_err());
/// # Ok::<(), tripod::Error>(())
/// ```
pub struct Id<T> {
    raw: i64,
    kind: PhantomData<fn() -> T>,
}

/// Values by id. Its hasher is keyed at random as std's is, and takes a fraction of the time.
pub type IdMap<T, V> = HashMap<Id<T>, V, ahash::RandomState>;

/// Ids, each once; see [`IdMap`].
pub type IdSet<T> = HashSet<Id<T>, ahash::RandomState>;

impl<T> Id<T> {
    /// An id from 64 bits, such as those in a column or a job.
    pub const fn from_raw(raw: i64) -> Self {
        Self { raw, kind: PhantomData }
    }

    /// The id's 64 bits.
    pub const fn raw(self) -> i64 {
        self.raw
    }

    /// The logical shard that holds its row.
    pub fn shard(self) -> Shard {
        Shard::of_id(self.raw)
    }

    /// The least id that can be generated at this time, in milliseconds since the Unix epoch, on any shard:
    /// rows from then on have this id or a greater one.
    pub fn first_at(ms: u64) -> Self {
        Self::from_raw(compose(ms.saturating_sub(EPOCH_MS).min(LAST_INSTANT_MS), Shard::of_id(0), 0))
    }

    /// When it was generated.
    pub fn created_at(self) -> DateTime<Utc> {
        clock::date(timestamp_ms(self.raw))
    }
}

impl<T> From<Id<T>> for Shard {
    fn from(id: Id<T>) -> Self {
        id.shard()
    }
}

/// The entity of an id type, for derives, which see only the name of a field's type.
pub trait IdOf {
    /// The `T` of `Id<T>`.
    type Entity;
}

impl<T> IdOf for Id<T> {
    type Entity = T;
}

// Derives would require these traits of `T`, which is only a marker here.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<T> Hash for Id<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.raw)
    }
}
impl<T> fmt::Display for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}

impl<T> FromStr for Id<T> {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // `parse` alone would also accept "+1" and "007", but each id has one spelling.
        match text.parse::<i64>() {
            Ok(raw) if raw >= 0 && raw.to_string() == text => Ok(Self::from_raw(raw)),
            _ => Err(Error::invalid("an id is a string of digits, such as \"493847561029384\"")),
        }
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(itoa::Buffer::new().format(self.raw))
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<T> utoipa::PartialSchema for Id<T> {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some("^(0|[1-9][0-9]{0,18})$"))
            .description(Some("An id: a 64-bit integer as a string; later ids are greater."))
            .examples([serde_json::json!("493847561029384192")])
            .into()
    }
}

impl<T> utoipa::ToSchema for Id<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        "Id".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz::fuzz;

    struct Thing;

    #[test]
    fn an_id_of_any_text_has_one_spelling_or_is_refused() {
        let corpus: [&[u8]; 5] = [b"9223372036854775807", b"0", b"493847561029384192", b"-1", b"\"12\""];
        fuzz(&corpus, &[b"+", b"-", b"00", b" ", b"\\u0031", b"e3", "١".as_bytes()], |input| {
            let Ok(text) = std::str::from_utf8(input) else { return };
            if let Ok(id) = text.parse::<Id<Thing>>() {
                assert!(id.raw() >= 0 && id.to_string() == text);
                assert!(id.shard().number() < crate::id::SHARDS && id.created_at() > DateTime::UNIX_EPOCH);
            }
            if let Ok(id) = serde_json::from_slice::<Id<Thing>>(input) {
                assert!(id.raw() >= 0);
            }
        });
    }

    #[test]
    fn json_carries_a_string_and_refuses_the_rest() {
        let id: Id<Thing> = Id::from_raw(i64::MAX);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, "\"9223372036854775807\"");
        assert_eq!(serde_json::from_str::<Id<Thing>>(&json).unwrap(), id);
        for bad in ["12", "\"\"", "\"-1\"", "\"+1\"", "\"007\"", "\"9223372036854775808\"", "\"1 \"", "null"]
        {
            assert!(serde_json::from_str::<Id<Thing>>(bad).is_err(), "{bad} was taken");
        }
    }
}
