//! The name is never the type's.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(from = Account, to = Post)]
pub struct Like;

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
