//! One name for many types.

use serde::{Deserialize, Serialize};
use tripod_macros::Cached;

#[derive(Cached, Serialize, Deserialize)]
#[cached(name = "note", ttl = "10m")]
pub struct Note<T> {
    text: T,
}

fn main() {}
