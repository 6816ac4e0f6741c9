//! The name without `name =`.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
#[job("share", retries = 3)]
pub struct Share;

fn main() {
    uses::<Share>();
}

fn uses<J: tripod::queue::Job>() {}
