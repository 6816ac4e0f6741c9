//! Only a name.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
#[edge(name = "like")]
pub struct Like;

fn main() {}
