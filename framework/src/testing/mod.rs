//! For tests of apps: [`TestApp`] runs an app in the test's own process, on stores in a temporary
//! directory or on servers, with a manual clock and jobs that run when the test says so.
//!
//! Tests wait for conditions ([`eventually`]) and never sleep a fixed time.

mod app;
mod backing;
#[cfg(test)]
pub(crate) mod fuzz;

pub use app::{LONG, TestApp, TestClient, TestReply, sample_photo};
pub use backing::Backing;

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
