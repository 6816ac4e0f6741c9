//! Longer than a day.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(name = "note", ttl = "2d")]
pub struct Note {
    text: String,
}

fn main() {
    uses::<Note>();
}

fn uses<T: tripod::cache::Cached>() {}
