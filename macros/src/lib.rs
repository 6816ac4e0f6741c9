//! The derives of [`tripod`](https://docs.rs/tripod): each parses, checks and emits constants. Their
//! meaning lives in the framework, in the traits with the same names. Mistakes are reported all at once,
//! each where it is written.

mod attr;
mod cached;
mod edge;
mod errors;
#[cfg(test)]
mod expanded_tests;
mod index;
mod job;
mod model;
mod name;
mod no_relations;
mod sharded;
mod timeline_item;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Determines where a row lives. It goes on the `Model` of a sea-orm entity, beside `DeriveEntityModel`,
/// and implements `tripod::shard::Sharded` or `tripod::shard::TextSharded` for its `Entity`.
///
/// It also implements `tripod::app::Registered`, so that an app registers the entity with one
/// `.entity::<note::Entity>()`. If [`macro@Cached`] or [`macro@TimelineItem`] is derived beside it, the
/// entity's rows are then read through the cache, or appear in timelines.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `by = author_id` | the row lives on the shard of the id in this column, an `Id<...>` of the owner's entity |
/// | `by = id` | the row lives on the shard of its own id |
/// | `text = name` | the row is found by this text and lives on the shard of its hash |
///
/// With `by`, the field `id` must be the primary key with `auto_increment = false`, because ids are
/// generated before the row is written. The owner's type must be a sharded entity too:
///
/// ```
/// # mod author {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, tripod_macros::Sharded)]
/// #     #[sea_orm(table_name = "author")]
/// #     #[sharded(by = id)]
/// #     pub struct Model { #[sea_orm(primary_key, auto_increment = false)] pub id: tripod::id::Id<Entity> }
/// #     #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # mod note {
/// # use super::author;
/// use sea_orm::entity::prelude::*;
/// use tripod::id::Id;
/// use tripod_macros::Sharded; // an app writes `tripod::Sharded`
///
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
/// #[sea_orm(table_name = "note")]
/// #[sharded(by = author_id)]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: Id<Entity>,
///     pub author_id: Id<author::Entity>,
///     pub text: String,
/// }
/// # #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # fn main() {}
/// ```
///
/// With `text`, the primary key must be the two fields `shard: i16` and the text, in this order:
///
/// ```
/// # mod name {
/// # use sea_orm::entity::prelude::*;
/// # use tripod_macros::Sharded;
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded)]
/// #[sea_orm(table_name = "name")]
/// #[sharded(text = name)]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub shard: i16,
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub name: String,
/// }
/// # #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # fn main() {}
/// ```
///
/// A `Model` that is `Serialize` does not compile: rows are shown through views, which are built from
/// rows that a policy has allowed.
///
/// It does nothing on `ModelEx`, to which `#[sea_orm::model]` copies every derive.
#[proc_macro_derive(Sharded, attributes(sharded))]
pub fn derive_sharded(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    sharded::derive(&input).into()
}

/// Makes a type's values cacheable: it implements `tripod::cache::Cached`. On the `Model` of a sea-orm
/// entity, beside [`macro@Sharded`], every read with `tripod::shard::Consistency::Cached` reads the
/// entity's rows through the cache. The types of its fields must be `Serialize` and `DeserializeOwned`,
/// but the `Model` must not. Any other type must be both itself.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `ttl = "10m"` | the age after which a value is never served: a number and `s`, `m`, `h` or `d`, from 2 seconds to a day. After half of it, one reader reloads the value |
/// | `name = "note"` | the name in the keys, 1 to 40 of a-z, 0-9 and `_`; by default the entity's table |
/// | `version = 2` | increase it when a type inside a field changes its shape; changes of the fields themselves are detected |
/// | `view = NoteView` | what is made of a row once and kept beside it in the process, see `tripod::access::Visible::view`; by default nothing |
///
/// ```
/// # mod note {
/// # use sea_orm::entity::prelude::*;
/// # use tripod::id::Id;
/// use tripod_macros::{Cached, Sharded}; // an app writes `tripod::{Cached, Sharded}`
///
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, Cached)]
/// #[sea_orm(table_name = "note")]
/// #[sharded(by = id)]
/// #[cached(ttl = "10m")]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: Id<Entity>,
///     pub text: String,
/// }
/// # #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # fn main() {}
/// ```
#[proc_macro_derive(Cached, attributes(cached))]
pub fn derive_cached(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    cached::derive(&input).into()
}

/// Makes a unit struct a kind of edge: it implements `tripod::graph::Edge`.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `name = "like"` | the name that the edges are stored under, written out so that renaming the type loses none; 1 to 40 of a-z, 0-9 and `_` |
/// | `from = account::Entity` | the sharded entity that an edge starts at |
/// | `to = post::Entity` | the sharded entity that it points to |
/// | `ends = (Follow, Request)` | kinds that an edge of this kind ends, as a block ends follows: adding it removes their edges between the two rows, in both directions, and none can be added while it exists. All of them join rows of one entity |
/// | `sources = "cached"` | caches each row's newest sources, as its targets always are: for a kind of which every page asks who points to the viewer |
///
/// ```
/// use tripod_macros::Edge; // an app writes `tripod::Edge`
/// # macro_rules! entity {
/// #     ($table:ident) => {
/// #         mod $table {
/// #             use sea_orm::entity::prelude::*;
/// #             #[derive(Clone, Debug, PartialEq, DeriveEntityModel, tripod_macros::Sharded)]
/// #             #[sea_orm(table_name = "any")]
/// #             #[sharded(by = id)]
/// #             pub struct Model {
/// #                 #[sea_orm(primary_key, auto_increment = false)]
/// #                 pub id: tripod::id::Id<Entity>,
/// #             }
/// #             #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// #             pub enum Relation {}
/// #             impl ActiveModelBehavior for ActiveModel {}
/// #         }
/// #     };
/// # }
/// # entity!(account);
/// # entity!(post);
///
/// #[derive(Edge)]
/// #[edge(name = "like", from = account::Entity, to = post::Entity)]
/// pub struct Like;
///
/// #[derive(Edge)]
/// #[edge(name = "follow", from = account::Entity, to = account::Entity)]
/// pub struct Follow;
///
/// #[derive(Edge)]
/// #[edge(name = "block", from = account::Entity, to = account::Entity, ends = Follow, sources = "cached")]
/// pub struct Block;
///
/// assert_eq!(<Like as tripod::graph::Edge>::NAME, "like");
/// assert_eq!(<Block as tripod::graph::Edge>::ENDS, ["follow"]);
/// ```
#[proc_macro_derive(Edge, attributes(edge))]
pub fn derive_edge(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    edge::derive(&input).into()
}

/// Makes a unit struct an index of rows by keys: it implements `tripod::index::Index`. An app registers it
/// with `.index::<NoteByWord>()`.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `name = "note_by_word"` | the name that the entries are stored under, written out so that renaming the type loses none; 1 to 40 of a-z, 0-9 and `_` |
/// | `of = note::Entity` | the sharded entity whose rows are found |
/// | `keys = words` | the function that returns the keys of a row: `fn(&note::Model) -> Vec<String>`, dependent on nothing but the row |
/// | `prefixes = true` | keys are also found by their beginnings; by default they are not |
///
/// ```
/// # mod note {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, tripod_macros::NoRelations, tripod_macros::Sharded)]
/// #     #[sea_orm(table_name = "note")]
/// #     #[sharded(by = id)]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key, auto_increment = false)]
/// #         pub id: tripod::id::Id<Entity>,
/// #         pub text: String,
/// #     }
/// # }
/// use tripod_macros::Index; // an app writes `tripod::Index`
///
/// #[derive(Index)]
/// #[index(name = "note_by_word", of = note::Entity, keys = words)]
/// pub struct NoteByWord;
///
/// fn words(note: &note::Model) -> Vec<String> {
///     note.text.split_whitespace().map(str::to_lowercase).collect()
/// }
///
/// assert_eq!(<NoteByWord as tripod::index::Index>::NAME, "note_by_word");
/// ```
#[proc_macro_derive(Index, attributes(index))]
pub fn derive_index(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    index::derive(&input).into()
}

/// Makes a type a job's arguments: it implements `tripod::queue::Job`. The type must also be
/// `Serialize` and `DeserializeOwned`.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `name = "share_post"` | the name that it is queued under, written out so that renaming the type loses no queued job; 1 to 80 of a-z, 0-9, `_` and `.` |
/// | `retries = 8` | how often a failed job is retried, 0 to 50; by default 8 |
/// | `lane = "mail"` | the lane that it runs in (`tripod::queue::Lane`), which the app registers; by default `default` |
/// | `unique = post` | a shard has one job with this name and this field's text, until it is done |
/// | `unique_while_waiting = post` | the same, until it begins: another may be enqueued while it runs |
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use tripod_macros::Job; // an app writes `tripod::Job`
///
/// #[derive(Job, Serialize, Deserialize)]
/// #[job(name = "share_post", retries = 3)]
/// struct SharePost {
///     network: String,
/// }
///
/// assert_eq!(<SharePost as tripod::queue::Job>::RETRIES, 3);
/// ```
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    job::derive(&input).into()
}

/// Makes a row appear in the timelines of its owner's followers, from its insertion until its deletion.
/// It goes on the `Model` of a sea-orm entity, beside [`macro@Sharded`], and implements
/// `tripod::timeline::TimelineItem` for its `Entity`.
///
/// | Option | Meaning |
/// | --- | --- |
/// | `name = "home"` | the name that the timelines are stored under; 1 to 40 of a-z, 0-9 and `_` |
/// | `audience = Follow` | the kind of edge from a follower to the owner; both its ends are the owner's entity |
///
/// ```
/// # mod author {
/// #     use sea_orm::entity::prelude::*;
/// #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, tripod_macros::Sharded)]
/// #     #[sea_orm(table_name = "author")]
/// #     #[sharded(by = id)]
/// #     pub struct Model { #[sea_orm(primary_key, auto_increment = false)] pub id: tripod::id::Id<Entity> }
/// #     #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// #     pub enum Relation {}
/// #     impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # mod note {
/// # use super::author;
/// # use sea_orm::entity::prelude::*;
/// # use tripod::id::Id;
/// use tripod_macros::{Edge, Sharded, TimelineItem}; // an app writes `tripod::{...}`
///
/// #[derive(Edge)]
/// #[edge(name = "follow", from = author::Entity, to = author::Entity)]
/// pub struct Follow;
///
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Sharded, TimelineItem)]
/// #[sea_orm(table_name = "note")]
/// #[sharded(by = author_id)]
/// #[timeline(name = "home", audience = Follow)]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: Id<Entity>,
///     pub author_id: Id<author::Entity>,
///     pub text: String,
/// }
/// # #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
/// # pub enum Relation {}
/// # impl ActiveModelBehavior for ActiveModel {}
/// # }
/// # fn main() {}
/// ```
#[proc_macro_derive(TimelineItem, attributes(timeline))]
pub fn derive_timeline_item(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    timeline_item::derive(&input).into()
}

/// Declares that an entity has no relations and no hooks: it emits sea-orm's `enum Relation {}` and an
/// empty `impl ActiveModelBehavior for ActiveModel`. This is the usual case, because rows of a sharded
/// entity may refer to rows on other databases, which joins and foreign keys can't reach.
///
/// ```
/// # mod note {
/// use sea_orm::entity::prelude::*;
/// use tripod::id::Id;
/// use tripod_macros::{NoRelations, Sharded}; // an app writes `tripod::{NoRelations, Sharded}`
///
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, NoRelations, Sharded)]
/// #[sea_orm(table_name = "note")]
/// #[sharded(by = id)]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: Id<Entity>,
///     pub text: String,
/// }
/// # }
/// # fn main() {}
/// ```
#[proc_macro_derive(NoRelations)]
pub fn derive_no_relations(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    no_relations::derive(&input).into()
}
