//! Nothing says its name.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
pub struct Share;

fn main() {
    uses::<Share>();
}

fn uses<J: tripod::queue::Job>() {}
