//! A name without quotes.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
#[job(name = share)]
pub struct Share;

fn main() {
    uses::<Share>();
}

fn uses<J: tripod::queue::Job>() {}
