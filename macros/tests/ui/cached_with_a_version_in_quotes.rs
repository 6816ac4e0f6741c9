//! A version that is a string.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(name = "note", ttl = "10m", version = "2")]
pub struct Note {
    text: String,
}

fn main() {
    uses::<Note>();
}

fn uses<T: tripod::cache::Cached>() {}
