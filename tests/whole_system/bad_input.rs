//! Input that must be refused, with the right status, as a problem, and without any change.

mod ids;
mod requests;
mod slow;
mod uploads;

use tripod_tests::{Server, Stored};

/// The stored data before a request that must change nothing.
struct Unchanged<'s> {
    server: &'s Server,
    before: Stored,
}

impl<'s> Unchanged<'s> {
    async fn from_now(server: &'s Server) -> Self {
        crate::idle(server).await;
        Self { server, before: server.stored().await }
    }

    /// Asserts that every row and file is unchanged.
    async fn check(&self, after: &str) {
        let difference = self.before.difference(&self.server.stored().await);
        assert!(difference.is_empty(), "{after} has changed something: {difference:#?}");
    }
}
