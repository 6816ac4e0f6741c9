//! An edge holds nothing.

#[path = "../pass/author.rs"]
mod author;

use tripod_macros::Edge;

#[derive(Edge)]
#[edge(name = "like", from = author::Entity, to = author::Entity)]
pub struct Like {
    pub times: u32,
}

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
