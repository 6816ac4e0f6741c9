//! No table, and no name.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(ttl = "10m")]
pub struct Note {
    text: String,
}

fn main() {
    uses::<Note>();
}

fn uses<T: tripod::cache::Cached>() {}
