//! For tests: stores in a temporary directory, a manual clock, and the conformance suites, one per
//! interface, which every backend must pass.
//!
//! Tests wait for conditions ([`eventually`]) and never sleep a fixed time.

mod app;
pub mod cache_fixture;
pub mod conformance;
mod fixtures;
mod stores;

pub use app::{LONG, TestApp, TestClient, TestReply, sample_photo};
pub use cache_fixture::CacheFixture;
pub use fixtures::{Author, Keeps, Note, Reads, author, note};
pub use stores::{Backing, Stores, Working};

use std::time::{Duration, Instant};

/// Polls until `condition` returns a value; panics with `what` after half a minute.
///
/// # Panics
/// If the condition returns no value in time.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not within half a minute: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
