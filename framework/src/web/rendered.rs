//! A part of replies that is serialized to JSON once.

use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// A value together with its JSON: a part of many replies, serialized once. As the
/// [view](crate::access::Visible::view) of a cached row, it saves building and serializing the parts of
/// replies that are the same for all viewers. Clones share everything.
///
/// It serializes to JSON only, and not inside `#[serde(flatten)]`. In an OpenAPI schema, state the type
/// it holds: `#[schema(value_type = Author)]`.
///
/// ```
/// use serde::Serialize;
/// use tripod::web::Rendered;
///
/// #[derive(Serialize)]
/// struct Author { name: String }
///
/// #[derive(Serialize)]
/// struct Reply { author: Rendered<Author>, liked: bool }
///
/// let author = Rendered::new(Author { name: "ann".to_owned() });
/// assert_eq!(author.name, "ann");
/// let reply = serde_json::to_string(&Reply { author, liked: true })?;
/// assert_eq!(reply, r#"{"author":{"name":"ann"},"liked":true}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug)]
pub struct Rendered<T>(Arc<Inner<T>>);

#[derive(Debug)]
struct Inner<T> {
    value: T,
    /// `None` if the value can't be serialized to JSON: serializing the reply then fails with the reason.
    json: Option<Box<RawValue>>,
}

impl<T: Serialize> Rendered<T> {
    /// Serializes the value to JSON.
    pub fn new(value: T) -> Self {
        let json = to_raw_value(&value).ok();
        Self(Arc::new(Inner { value, json }))
    }
}

impl<T> Clone for Rendered<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Rendered<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T: Serialize> Serialize for Rendered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.json {
            Some(json) => json.serialize(serializer),
            None => self.0.value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn what_is_no_json_fails_when_it_is_sent() {
        // A list can't be a key of a JSON object.
        let rendered = Rendered::new(HashMap::from([(vec![1], 2)]));
        assert_eq!(rendered[&vec![1]], 2);
        assert!(serde_json::to_string(&[rendered]).is_err());
    }
}
