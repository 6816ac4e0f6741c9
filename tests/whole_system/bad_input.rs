//! What must be refused: each with the right status, as a problem, and nothing is changed by it.

mod ids;
mod requests;
mod slow;
mod uploads;

use tripod_tests::{Server, Stored};

/// What is stored before something that must change nothing.
struct Unchanged<'s> {
    server: &'s Server,
    before: Stored,
}

impl<'s> Unchanged<'s> {
    async fn from_now(server: &'s Server) -> Self {
        crate::idle(server).await;
        Self { server, before: server.stored().await }
    }

    /// Asserts that every row and every file is as it was.
    async fn check(&self, after: &str) {
        let difference = self.before.difference(&self.server.stored().await);
        assert!(difference.is_empty(), "{after} has changed something: {difference:#?}");
    }
}
