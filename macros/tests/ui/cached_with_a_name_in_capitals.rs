//! A name that is none.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(name = "Note", ttl = "10m")]
pub struct Note {
    text: String,
}

fn main() {
    uses::<Note>();
}

fn uses<T: tripod::cache::Cached>() {}
