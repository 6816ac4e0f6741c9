//! `name` alone.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
#[job(name, retries = 3)]
pub struct Share;

fn main() {
    uses::<Share>();
}

fn uses<J: tripod::queue::Job>() {}
