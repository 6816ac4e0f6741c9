//! Waiting for a condition instead of for a time.

use std::time::Duration;

use tokio::time::Instant;

/// Between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(10);

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none within `deadline`, naming `what` was waited for.
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
