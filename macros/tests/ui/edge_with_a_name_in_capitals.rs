//! A name that can't be stored.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(name = "Like", from = Account, to = Post)]
pub struct Like;

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
