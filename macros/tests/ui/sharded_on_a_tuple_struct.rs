//! A `Model` without names of columns.

use tripod_macros::Sharded;

#[derive(Sharded)]
#[sharded(by = id)]
pub struct Model(pub i64);

fn main() {}
