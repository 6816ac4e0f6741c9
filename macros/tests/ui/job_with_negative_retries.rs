//! Fewer retries than none.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
#[job(name = "share", retries = -1)]
pub struct Share;

fn main() {
    uses::<Share>();
}

fn uses<J: tripod::queue::Job>() {}
