//! A `Model` that is an enum.

use tripod_macros::Sharded;

#[derive(Sharded)]
#[sharded(by = id)]
pub enum Model {
    Note,
}

fn main() {}
