//! An edge holds nothing.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(name = "like", from = Account, to = Post)]
pub struct Like {
    pub times: u32,
}

fn main() {
    uses::<Like>();
}

fn uses<E: tripod::graph::Edge>() {}
