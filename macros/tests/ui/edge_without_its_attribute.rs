//! Nothing says what it joins.

use tripod_macros::Edge;

pub struct Account;
pub struct Post;

#[derive(Edge)]
pub struct Like;

fn main() {}
