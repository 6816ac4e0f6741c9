//! sea-orm knows only `Model`.

use tripod_macros::Sharded;

#[derive(Sharded)]
#[sharded(by = id)]
pub struct Note {
    pub id: i64,
}

fn main() {}
