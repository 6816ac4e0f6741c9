//! A value that means nothing.

use tripod_macros::Edge;

pub struct Account;

#[derive(Edge)]
#[edge(name = "block", from = Account, to = Account, sources = "fresh")]
pub struct Block;

fn main() {}
