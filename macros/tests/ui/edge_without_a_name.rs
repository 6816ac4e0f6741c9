//! The name is never the type's.

#[path = "../pass/author.rs"]
mod author;

use tripod_macros::Edge;

#[derive(Edge)]
#[edge(from = author::Entity, to = author::Entity)]
pub struct Like;

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
