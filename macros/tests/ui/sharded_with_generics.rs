//! A `Model` of many types.

use tripod_macros::Sharded;

#[derive(Sharded)]
#[sharded(by = id)]
pub struct Model<T> {
    pub id: T,
}

fn main() {}
