//! The derives in use: `tests/pass` compiles into this file and is asked for its constants;
//! `tests/ui` must not compile, and its `.stderr` files say with what sentences.
//!
//! What passes is not a trybuild case, because one would make trybuild build the whole framework
//! a second time, where it now only checks it.

#![allow(unreachable_pub, reason = "entities are written here as an app's library writes them")]

#[path = "pass/author.rs"]
mod author;
#[path = "pass/name.rs"]
mod name;
#[path = "pass/note.rs"]
mod note;
#[path = "pass/place.rs"]
mod place;

use std::any::TypeId;

use sea_orm::ColumnTrait;
use tripod::app::{Catalogue, Registered};
use tripod::graph::Edge;
use tripod::id::Id;
use tripod::queue::Job;
use tripod::shard::{Placement, Sharded, TextSharded};
use tripod::timeline::TimelineItem;

fn same<A: 'static, B: 'static>() -> bool {
    TypeId::of::<A>() == TypeId::of::<B>()
}

fn column(column: impl ColumnTrait) -> String {
    column.as_str().to_owned()
}

#[test]
fn a_row_lives_with_its_owner() {
    assert_eq!(column(note::Entity::ID), "id");
    assert_eq!(column(note::Entity::OWNER), "author_id");
    assert!(same::<<note::Entity as Sharded>::Owner, author::Entity>());
    let row = note::Model { id: Id::from_raw(7), author_id: Id::from_raw(9), text: "a".to_owned() };
    assert_eq!(note::Entity::id(&row), Id::from_raw(7));
}

#[test]
fn a_row_lives_where_its_own_id_says() {
    assert_eq!(column(author::Entity::OWNER), "id");
    assert!(same::<<author::Entity as Sharded>::Owner, author::Entity>());
}

#[test]
fn a_column_goes_by_the_names_sea_orm_gives_it() {
    assert_eq!(column(place::Entity::ID), "id");
    assert!(matches!(place::Entity::OWNER, place::Column::FoundBy));
}

#[test]
fn a_row_lives_by_its_text() {
    assert_eq!(column(name::Entity::SHARD), "shard");
    assert_eq!(column(name::Entity::TEXT), "user_name");
}

#[test]
fn an_entity_registers_its_table() {
    let mut catalogue = Catalogue::default();
    author::Entity::register(&mut catalogue);
    note::Entity::register(&mut catalogue);
    name::Entity::register(&mut catalogue);
    let [authors, notes, names] = catalogue.tables.as_slice() else { panic!("{:?}", catalogue.tables) };
    assert_eq!((authors.name, notes.name, names.name), ("author", "note", "name"));
    assert_eq!(
        (&authors.placement, &notes.placement),
        (&Placement::Id("id".into()), &Placement::Id("id".into()))
    );
    assert_eq!(names.placement, Placement::Shard("shard".into()));
    assert_eq!((&authors.owner, &notes.owner), (&None, &Some(("author_id".to_owned(), "author"))));
    assert_eq!(names.owner, None);
}

#[test]
fn edges_jobs_and_timelines_carry_the_names_that_are_written() {
    assert_eq!(note::Follow::NAME, "follow");
    assert!(same::<<note::Like as Edge>::From, author::Entity>());
    assert!(same::<<note::Like as Edge>::To, note::Entity>());
    assert_eq!((note::Share::NAME, note::Share::RETRIES), ("notes.share", 3));
    assert_eq!((note::Forget::NAME, note::Forget::RETRIES), ("forget", 8));
    assert_eq!(note::Entity::TIMELINE, "home");
    assert!(same::<<note::Entity as TimelineItem>::Audience, note::Follow>());
}

#[test]
fn what_is_cached_carries_its_table_its_shape_and_its_age() {
    use std::time::Duration;
    use tripod::cache::Cached;
    assert_eq!((note::Model::NAME, note::Model::TTL), ("note", Duration::from_secs(3_600)));
    assert_eq!((note::Draft::NAME, note::Draft::TTL), ("draft", Duration::from_secs(30)));
    assert_ne!(note::Draft::VERSION, note::LaterDraft::VERSION);
    assert_ne!(note::Draft::VERSION, note::Model::VERSION);
}

#[test]
fn mistakes_are_told_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
