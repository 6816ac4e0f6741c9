//! Access control: rows are read as `Unchecked`, and only a policy makes them `Visible`.
//!
//! Reads return [`Unchecked<T>`], from which no reply can be built. A [`Policy`] decides for one
//! [`Viewer`]; rows that pass are [`Visible<T>`], and views are built from their fields. A policy holds
//! the facts that it needs, loaded for a whole page at once; a function is a policy that needs none.
//!
//! ```
//! # use tripod::{access::{Unchecked, Viewer, Visible}, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::conformance::note::Model as Note;
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
//! A handler that forgets the check does not compile. It can send neither the row as read
//! ```compile_fail,E0277
//! # use tripod::{access::Unchecked, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::conformance::note::Model as Note;
//! fn reply(note: Unchecked<Note>) -> Response {
//!     Json(note).into_response() // Unchecked<Note> is not Serialize
//! }
//! ```
//! nor its contents, because a `Model` is not `Serialize`: [`crate::Sharded`] rejects one that is.
//! ```compile_fail,E0277
//! # use tripod::{access::Unchecked, web::Json};
//! # use axum::response::{IntoResponse, Response};
//! # use tripod::conformance::note::Model as Note;
//! fn reply(note: Unchecked<Note>) -> Response {
//!     Json(note.peek().clone()).into_response() // Note is not Serialize
//! }
//! ```
//! ```compile_fail,E0423
//! # use tripod::access::Visible;
//! let note = Visible("a secret"); // only a policy makes one
//! ```
//!
//! Deliberately absent: a way to cache a `Visible<T>`, which is valid for one viewer only. A row from
//! the cache is as unchecked as one from its shard, and is shared by all its readers.

use std::any::Any;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::cache::Cached;
use crate::id::Id;

/// The viewer on whose behalf data is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A visitor who is not logged in.
    Anonymous,
    /// The account with this id (its 64 bits; the framework knows no account type).
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

/// Decides whether a viewer may see a `T`. A policy holds the facts it needs (who is blocked, who
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

/// The policy for rows that everyone may see.
#[derive(Clone, Copy, Debug)]
pub struct Everybody;

impl<T> Policy<T> for Everybody {
    fn allows(&self, _: Viewer, _: &T) -> bool {
        true
    }
}

/// A row as read, with its view once that is made.
#[derive(Debug)]
pub(crate) struct Row<T> {
    item: T,
    view: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl<T> Row<T> {
    pub(crate) fn new(item: T) -> Self {
        Self { item, view: OnceLock::new() }
    }
}

/// A row is cached with its view. Only the row is stored in Redis.
impl<M: Cached> Cached for Row<M> {
    const NAME: &'static str = M::NAME;
    const VERSION: u64 = M::VERSION;
    const TTL: Duration = M::TTL;
    type View = M::View;

    fn encode(&self) -> serde_json::Result<Vec<u8>> {
        self.item.encode()
    }

    fn decode(json: &[u8]) -> serde_json::Result<Self> {
        M::decode(json).map(Self::new)
    }
}

/// A row as read, before any policy has decided who may see it.
#[derive(Debug)]
pub struct Unchecked<T>(Arc<Row<T>>);

impl<T> Clone for Unchecked<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Unchecked<T> {
    pub(crate) fn new(item: T) -> Self {
        Self(Arc::new(Row::new(item)))
    }

    pub(crate) fn shared(row: Arc<Row<T>>) -> Self {
        Self(row)
    }

    /// Reads the row, to load the facts a policy needs or to decide on a change. Replies can't be built
    /// from it.
    pub fn peek(&self) -> &T {
        &self.0.item
    }

    /// Takes the row out unchecked, for jobs and changes, which show it to no one.
    pub fn into_inner_unchecked(self) -> T
    where
        T: Clone,
    {
        Arc::try_unwrap(self.0).map_or_else(|shared| shared.item.clone(), |row| row.item)
    }

    /// The row if `viewer` may see it. `None` is answered as if the row did not exist.
    pub fn visible_to(self, viewer: Viewer, policy: &impl Policy<T>) -> Option<Visible<T>> {
        policy.allows(viewer, &self.0.item).then_some(Visible(self.0))
    }
}

/// Filters `items` to those that `viewer` may see, in order.
pub fn visible<T>(items: Vec<Unchecked<T>>, viewer: Viewer, policy: &impl Policy<T>) -> Vec<Visible<T>> {
    items.into_iter().filter_map(|item| item.visible_to(viewer, policy)).collect()
}

/// A row that a policy has allowed for one viewer.
#[derive(Debug)]
pub struct Visible<T>(Arc<Row<T>>);

impl<T> Deref for Visible<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.item
    }
}

impl<M: Cached> Visible<M> {
    /// The row's view: the parts of replies that depend on nothing but the row. `make` runs once for this
    /// version of the row, for all readers of this process's cache. It is a function, not a closure, so it
    /// can't capture the viewer; `context` is for what the whole process shares, such as the app.
    ///
    /// ```
    /// use tripod::access::Visible;
    /// use tripod::web::Rendered;
    ///
    /// #[derive(serde::Serialize)]
    /// pub struct NoteView { text: String }
    ///
    /// mod note {
    ///     # use sea_orm::entity::prelude::*;
    ///     # use tripod::{Cached, NoRelations, Sharded, id::Id, web::Rendered};
    ///     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, NoRelations, Sharded, Cached)]
    ///     #[sea_orm(table_name = "note")]
    ///     #[sharded(by = id)]
    ///     #[cached(ttl = "10m", view = Rendered<super::NoteView>)]
    ///     pub struct Model {
    ///         #[sea_orm(primary_key, auto_increment = false)]
    ///         pub id: Id<Entity>,
    ///         pub text: String,
    ///     }
    /// }
    ///
    /// fn view(note: &Visible<note::Model>) -> &Rendered<NoteView> {
    ///     note.view(&(), |(), note| Rendered::new(NoteView { text: note.text.clone() }))
    /// }
    /// # fn main() {}
    /// ```
    pub fn view<C: ?Sized>(&self, context: &C, make: fn(&C, &M) -> M::View) -> &M::View {
        let view = self.0.view.get_or_init(|| Box::new(make(context, &self.0.item)));
        view.downcast_ref().expect("a row's view is of its entity's type")
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

    #[derive(Debug)]
    struct Name(&'static str);

    impl Cached for Name {
        const NAME: &'static str = "name";
        const VERSION: u64 = 1;
        const TTL: Duration = Duration::from_secs(60);
        type View = String;

        fn encode(&self) -> serde_json::Result<Vec<u8>> {
            serde_json::to_vec(self.0)
        }

        fn decode(_: &[u8]) -> serde_json::Result<Self> {
            Ok(Self("decoded"))
        }
    }

    #[test]
    fn a_view_is_made_once_for_each_version_of_a_row() {
        let row = Unchecked::new(Name("ann"));
        let see = |row: &Unchecked<Name>| row.clone().visible_to(Viewer::Anonymous, &Everybody).unwrap();
        let (one, other) = (see(&row), see(&row));
        let greet: fn(&str, &Name) -> String = |greeting, name| format!("{greeting} {}", name.0);
        assert_eq!(one.view("hello", greet), "hello ann");
        assert_eq!(other.view("not called", greet), "hello ann");
        let json = Row::new(Name("ann")).encode().unwrap();
        assert_eq!(json, br#""ann""#, "a view is stored nowhere else");
        let later = Unchecked::shared(Arc::new(Row::<Name>::decode(&json).unwrap()));
        assert_eq!(see(&later).view("hello", greet), "hello decoded");
    }

    #[test]
    fn only_what_the_policy_allows_becomes_visible() {
        let rows = || vec![Unchecked::new(1), Unchecked::new(2), Unchecked::new(1)];
        let seen = |viewer| visible(rows(), viewer, &OwnerOnly).iter().map(|row| **row).collect::<Vec<_>>();
        assert_eq!(seen(Viewer::Account(1)), [1, 1]);
        assert_eq!(seen(Viewer::Anonymous), Vec::<i64>::new());
    }
}
