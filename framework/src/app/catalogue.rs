//! What an app consists of, according to its derives: tables, cached entities, timelines, edges, indexes.

use sea_orm::EntityTrait;

use crate::cache::{Cached, is_region_name};
use crate::graph::{Edge, EdgeKind, Graph};
use crate::index::{Index, IndexKind};
use crate::shard::{Sharded, Shards, Table, TextSharded};
use crate::timeline::{self, TimelineItem};

/// An entity that an app can register. Derived by [`crate::Sharded`], which also detects whether the
/// entity is cached and appears in timelines.
pub trait Registered: EntityTrait {
    /// Adds the entity, with everything that is derived for it.
    fn register(catalogue: &mut Catalogue);
}

/// Makes the rows of an entity be read through the cache.
type CacheRows = fn(&Shards);
/// Registers an entity with the graph, told whether it is at an end of any edge.
type RegisterOwned = fn(&Graph, bool);

/// What an app stores: its tables, how they are read, and the kinds of edges between their rows.
#[derive(Default)]
pub struct Catalogue {
    /// The tables of the app's entities.
    pub tables: Vec<Table>,
    /// The kinds of edges.
    pub edges: Vec<EdgeKind>,
    /// The cached entities, by their names in the cache.
    pub(super) cached: Vec<(&'static str, CacheRows)>,
    /// The entities whose rows live with their owners, by their tables.
    owned: Vec<(&'static str, RegisterOwned)>,
    pub(super) timelines: Vec<timeline::TimelineKind>,
    pub(super) indexes: Vec<IndexKind>,
}

impl Catalogue {
    /// Adds an entity whose rows live with their owner.
    pub fn add_sharded<E: Sharded>(&mut self) {
        self.tables.push(Table::sharded::<E>());
        self.owned.push((E::default().table_name(), Graph::add_owned::<E>));
    }

    /// Adds an entity whose rows are found by a text.
    pub fn add_text_sharded<E: TextSharded>(&mut self) {
        self.tables.push(Table::text_sharded::<E>());
    }

    /// Adds an entity whose rows are read through the cache.
    pub fn add_cached<E>(&mut self)
    where
        E: Sharded,
        E::Model: Cached,
    {
        self.cached.push((E::Model::NAME, Shards::cache_rows::<E>));
    }

    /// Adds an entity whose rows appear in timelines.
    pub fn add_timeline<E: TimelineItem>(&mut self) {
        self.timelines.push(timeline::TimelineKind::of::<E>());
    }

    /// Adds a kind of edge.
    pub fn add_edge<E: Edge>(&mut self) {
        self.edges.push(EdgeKind::of::<E>());
    }

    /// Adds an index of rows by keys.
    pub fn add_index<I: Index>(&mut self) {
        self.indexes.push(IndexKind::of::<I>());
    }

    /// Registers with the graph the entities whose rows [`Tx::delete_owned`](crate::shard::Tx::delete_owned)
    /// deletes.
    pub(crate) fn register_owned(&self, graph: &Graph) {
        for (table, register) in &self.owned {
            register(graph, self.edges.iter().any(|edge| [edge.from.name, edge.to.name].contains(table)));
        }
    }

    /// Contradictions: duplicate names, and references to things that are not registered.
    pub(super) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let tables: Vec<&str> = self.tables.iter().map(|table| table.name).collect();
        let timelines: Vec<&str> = self.timelines.iter().map(|timeline| timeline.name).collect();
        let edges: Vec<&str> = self.edges.iter().map(|edge| edge.name).collect();
        let indexes: Vec<&str> = self.indexes.iter().map(|index| index.name).collect();
        let cached: Vec<&str> = self.cached.iter().map(|(name, _)| *name).collect();
        for (what, names) in [
            ("entities have the table", &tables),
            ("timelines are", &timelines),
            ("edges are", &edges),
            ("indexes are", &indexes),
            ("cached entities are", &cached),
        ] {
            for name in twice(names) {
                mistakes
                    .push(format!("two {what} named {name:?}: register it once, or give one another name"));
            }
        }
        for (what, names) in
            [("timeline", &timelines), ("edge", &edges), ("index", &indexes), ("cached entity", &cached)]
        {
            for name in names.iter().filter(|name| !is_region_name(name)) {
                mistakes.push(format!(
                    "the name of the {what} {name:?} is not one word: use letters, digits, `_` and `.`"
                ));
            }
        }
        for table in &self.tables {
            if let Some((column, owner)) = table.owner.as_ref().filter(|(_, owner)| !tables.contains(owner)) {
                mistakes.push(format!(
                    "the rows of {:?} live with their {column}, and no entity of the table {owner:?} is registered: \
                     add .entity::<...>()",
                    table.name
                ));
            }
        }
        for edge in &self.edges {
            for end in [edge.from.name, edge.to.name] {
                if !tables.contains(&end) {
                    mistakes.push(format!(
                        "the edge {:?} joins rows of {end:?}, and no entity of that table is registered: \
                         add .entity::<...>()",
                        edge.name
                    ));
                }
            }
        }
        for (edge, ended) in
            self.edges.iter().flat_map(|edge| edge.ends.iter().map(move |ended| (edge, ended)))
        {
            if !edges.contains(ended) {
                mistakes.push(format!(
                    "the edge {:?} ends edges named {ended:?}, and no edge of that name is registered: \
                     add .edge::<...>()",
                    edge.name
                ));
            }
        }
        for index in self.indexes.iter().filter(|index| !tables.contains(&index.table)) {
            mistakes.push(format!(
                "the index {:?} is of rows of {:?}, and no entity of that table is registered: add .entity::<...>()",
                index.name, index.table
            ));
        }
        for timeline in self.timelines.iter().filter(|timeline| !edges.contains(&timeline.audience)) {
            mistakes.push(format!(
                "the timeline {:?} goes to an audience along the edge {:?}, which is not registered: \
                 add .edge::<...>()",
                timeline.name, timeline.audience
            ));
        }
        mistakes
    }
}

/// The names that occur more than once in a list.
fn twice<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut twice: Vec<&str> =
        sorted.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
    twice.dedup();
    twice
}
