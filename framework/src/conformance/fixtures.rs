//! The smallest social app, on which the suites run: authors, their notes, who reads whom and who keeps
//! which note.

use crate::db::{CreateTables, Migration};
use crate::graph::Edge;
use crate::index::Index;

/// One author reads another.
pub struct Reads;

impl Edge for Reads {
    type From = author::Entity;
    type To = author::Entity;
    const NAME: &'static str = "reads";
}

/// One author shuns another: neither reads the other.
pub struct Shuns;

impl Edge for Shuns {
    type From = author::Entity;
    type To = author::Entity;
    const NAME: &'static str = "shuns";
    const ENDS: &'static [&'static str] = &[Reads::NAME];
    const CACHES_SOURCES: bool = true;
}

/// An author keeps a note.
pub struct Keeps;

impl Edge for Keeps {
    type From = author::Entity;
    type To = note::Entity;
    const NAME: &'static str = "keeps";
}

/// Notes by the words in them, as they are written.
pub struct NoteByWord;

impl Index for NoteByWord {
    type Rows = note::Entity;
    const NAME: &'static str = "note_by_word";
    const PREFIXES: bool = true;

    fn keys(note: &note::Model) -> Vec<String> {
        note.text.split_whitespace().map(str::to_owned).collect()
    }
}

/// An author.
pub type Author = author::Entity;
/// A note.
pub type Note = note::Entity;

/// Authors, on the shard of their own id.
pub mod author {
    #![allow(missing_docs, reason = "sea-orm's derives name what they make")]
    use sea_orm::entity::prelude::*;

    use crate::Sharded;
    use crate::id::Id;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Sharded)]
    #[sea_orm(table_name = "author")]
    #[sharded(by = id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        #[sea_orm(unique)]
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// Notes, on their authors' shards, in the timelines of the authors' readers.
pub mod note {
    #![allow(missing_docs, reason = "sea-orm's derives name what they make")]
    use sea_orm::entity::prelude::*;

    use super::{Reads, author};
    use crate::id::Id;
    use crate::{Cached, Sharded, TimelineItem};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Sharded, Cached, TimelineItem)]
    #[sea_orm(table_name = "note")]
    #[sharded(by = author_id)]
    #[cached(ttl = "1m")]
    #[timeline(name = "notes", audience = Reads)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub author_id: Id<author::Entity>,
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
    impl ActiveModelBehavior for ActiveModel {}
}

/// The tables of authors and notes.
pub(super) const MIGRATION: Migration = || {
    use sea_orm::sea_query::{ColumnDef, Index, Table};
    let id = || ColumnDef::new("id").big_integer().not_null().primary_key().take();
    let author = Table::create()
        .table("author")
        .col(id())
        .col(ColumnDef::new("name").text().not_null().unique_key())
        .take();
    let note = Table::create()
        .table("note")
        .col(id())
        .col(ColumnDef::new("author_id").big_integer().not_null())
        .col(ColumnDef::new("text").text().not_null())
        .take();
    let by_author = Index::create().name("note_by_author").table("note").col("author_id").col("id").take();
    CreateTables::new("m20261122_000901_notes").table(author).table(note).index(by_author).boxed()
};
