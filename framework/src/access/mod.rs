//! Who sees what: a row that was read is `Unchecked`, and only a policy makes it `Visible`.
//!
//! Reads give [`Unchecked<T>`], from which no reply can be built. A [`Policy`] decides for one
//! [`Viewer`]; what passes is [`Visible<T>`], and views are made of its fields. A policy holds the facts
//! that it needs, loaded for a whole page at once; a function is a policy that needs none.
//!
//! ```
//! # use tripod::{access::{Unchecked, Viewer, Visible}, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::testing::note::Model as Note;
//! #[derive(serde::Serialize)]
//! struct NoteView { text: String }
//!
//! fn is_mine(viewer: Viewer, note: &Note) -> bool {
//!     viewer.is(note.author_id)
//! }
//!
//! fn reply(viewer: Viewer, note: Unchecked<Note>) -> Option<Response> {
//!     let note: Visible<Note> = note.visible_to(viewer, &is_mine)?;
//!     Some(Json(NoteView { text: note.text.clone() }).into_response())
//! }
//! ```
//! A handler that forgets the check does not compile, whether it sends the row as it was read
//! ```compile_fail,E0277
//! # use tripod::{access::Unchecked, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::testing::note::Model as Note;
//! fn reply(note: Unchecked<Note>) -> Response {
//!     Json(note).into_response() // Unchecked<Note> is not Serialize
//! }
//! ```
//! or what is in it, as a `Model` is not `Serialize`: [`crate::Sharded`] refuses one that is.
//! ```compile_fail,E0277
//! # use tripod::{access::Unchecked, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::testing::note::Model as Note;
//! fn reply(note: Unchecked<Note>) -> Response {
//!     Json(note.peek().clone()).into_response() // Note is not Serialize
//! }
//! ```
//! ```compile_fail,E0423
//! # use tripod::access::Visible;
//! let note = Visible("a secret"); // only a policy makes one
//! ```
//!
//! What is deliberately absent: a way to cache a `Visible<T>`. It is one viewer's answer. A row that
//! comes from the cache is as unchecked as one from its shard, and shared by all who read it.

use std::ops::Deref;
use std::sync::Arc;

use crate::id::Id;

/// For whom something is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Somebody who is not logged in.
    Anonymous,
    /// The account of this id (its 64 bits; the framework knows no account type).
    Account(i64),
}

impl Viewer {
    /// The viewer's id, as the app's own account type.
    pub fn id<T>(self) -> Option<Id<T>> {
        match self {
            Self::Anonymous => None,
            Self::Account(raw) => Some(Id::from_raw(raw)),
        }
    }

    /// Whether the viewer is this account.
    pub fn is<T>(self, id: Id<T>) -> bool {
        self == Self::Account(id.raw())
    }
}

impl<T> From<Id<T>> for Viewer {
    fn from(account: Id<T>) -> Self {
        Self::Account(account.raw())
    }
}

/// Decides whether a viewer sees a `T`. A policy holds the facts it needs (who is blocked, who
/// follows whom), loaded for a whole page at once.
pub trait Policy<T> {
    /// Whether `viewer` may see `item`.
    fn allows(&self, viewer: Viewer, item: &T) -> bool;
}

/// A function is a policy that needs no facts.
///
/// ```
/// use tripod::access::{Policy, Viewer};
/// fn even(_: Viewer, number: &i64) -> bool { number % 2 == 0 }
/// assert!(even.allows(Viewer::Anonymous, &2));
/// ```
impl<T, F: Fn(Viewer, &T) -> bool> Policy<T> for F {
    fn allows(&self, viewer: Viewer, item: &T) -> bool {
        self(viewer, item)
    }
}

/// The policy for what everybody may see.
#[derive(Clone, Copy, Debug)]
pub struct Everybody;

impl<T> Policy<T> for Everybody {
    fn allows(&self, _: Viewer, _: &T) -> bool {
        true
    }
}

/// A row as it was read, not yet anybody's to see.
#[derive(Debug)]
pub struct Unchecked<T>(Arc<T>);

impl<T> Clone for Unchecked<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Unchecked<T> {
    pub(crate) fn new(item: T) -> Self {
        Self(Arc::new(item))
    }

    pub(crate) fn shared(item: Arc<T>) -> Self {
        Self(item)
    }

    /// Looks inside, to load the facts a policy needs or to decide on a change. Replies can't be
    /// made of what this gives.
    pub fn peek(&self) -> &T {
        &self.0
    }

    /// Takes the row out unchecked: for jobs and for changes, which answer nobody.
    pub fn into_inner_unchecked(self) -> T
    where
        T: Clone,
    {
        Arc::unwrap_or_clone(self.0)
    }

    /// The row as `viewer` may see it, or nothing, which is answered as if it did not exist.
    pub fn visible_to(self, viewer: Viewer, policy: &impl Policy<T>) -> Option<Visible<T>> {
        policy.allows(viewer, &self.0).then_some(Visible(self.0))
    }
}

/// Keeps of `items` what `viewer` may see, in order.
pub fn visible<T>(items: Vec<Unchecked<T>>, viewer: Viewer, policy: &impl Policy<T>) -> Vec<Visible<T>> {
    items.into_iter().filter_map(|item| item.visible_to(viewer, policy)).collect()
}

/// A row that a policy has let through for one viewer.
#[derive(Debug)]
pub struct Visible<T>(Arc<T>);

impl<T> Deref for Visible<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OwnerOnly;
    impl Policy<i64> for OwnerOnly {
        fn allows(&self, viewer: Viewer, owner: &i64) -> bool {
            viewer == Viewer::Account(*owner)
        }
    }

    #[test]
    fn only_what_the_policy_allows_becomes_visible() {
        let rows = || vec![Unchecked::new(1), Unchecked::new(2), Unchecked::new(1)];
        let seen = |viewer| visible(rows(), viewer, &OwnerOnly).iter().map(|row| **row).collect::<Vec<_>>();
        assert_eq!(seen(Viewer::Account(1)), [1, 1]);
        assert_eq!(seen(Viewer::Anonymous), Vec::<i64>::new());
    }
}
