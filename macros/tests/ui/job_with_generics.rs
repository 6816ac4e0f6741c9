//! A job of many types.

use serde::{Deserialize, Serialize};
use tripod_macros::Job;

#[derive(Job, Serialize, Deserialize)]
#[job(name = "share")]
pub struct Share<T> {
    pub with: T,
}

fn main() {}
