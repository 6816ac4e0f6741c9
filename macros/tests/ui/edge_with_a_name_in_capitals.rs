//! A name that can't be stored.

#[path = "../pass/author.rs"]
mod author;

use tripod_macros::Edge;

#[derive(Edge)]
#[edge(name = "Like", from = author::Entity, to = author::Entity)]
pub struct Like;

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
