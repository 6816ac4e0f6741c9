//! `form` is not an option, `from` is.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(name = "like", form = Account, to = Post)]
pub struct Like;

fn main() {}
