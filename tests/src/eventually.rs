//! Waits for a condition instead of a fixed time.

use std::time::Duration;

use tokio::time::Instant;

/// The interval between two checks of a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// Polls until there is a value.
///
/// # Panics
/// If there is none within `deadline`, naming `what`.
pub async fn eventually<T>(what: &str, deadline: Duration, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < end, "{what}: not within {deadline:?}");
        tokio::time::sleep(INTERVAL).await;
    }
}
