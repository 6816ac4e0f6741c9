//! A type in quotes.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(name = "like", from = "Account", to = Post)]
pub struct Like;

fn main() {}
