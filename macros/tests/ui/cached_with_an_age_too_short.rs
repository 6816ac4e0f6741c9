//! An age that has no half.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(name = "note", ttl = "1s")]
pub struct Note {
    text: String,
}

fn main() {
    uses::<Note>();
}

fn uses<T: tripod::cache::Cached>() {}
