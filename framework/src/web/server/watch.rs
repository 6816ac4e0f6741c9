//! When a connection ends: on its own, when it is overdue, or soon after the server begins to drain.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, Sleep, sleep};

use super::activity::Activity;

/// How long a connection accepted just before shutdown may take to send its request.
const REQUEST_GRACE: Duration = Duration::from_secs(1);

/// Drives a connection, closes it when it is overdue, and shuts it down gracefully when the server
/// drains.
pub(super) struct Watch<'a> {
    activity: &'a Activity,
    accepted: Instant,
    idle: Duration,
    write: Duration,
    draining: bool,
    shutdown_begun: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a> Watch<'a> {
    /// Watches a newly accepted connection. It may be idle for `idle`, and a reply sent over HTTP/2 may
    /// wait for the client for `write`.
    pub(super) fn new(activity: &'a Activity, idle: Duration, write: Duration) -> Self {
        let accepted = Instant::now();
        Self { activity, accepted, idle, write, draining: false, shutdown_begun: false, timer: None }
    }

    /// Whether the server is draining.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Begins to drain.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Ready when the connection has ended, on its own or because it was overdue.
    pub(super) fn poll<C: GracefulConnection>(
        &mut self,
        mut connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            self.begin_shutdown(connection.as_mut());
            // An error here is the client's fault: it disconnected, or sent invalid HTTP and was
            // answered.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.begin_shutdown(connection.as_mut()) {
                continue;
            }
            let Some(due) = self.due() else {
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
            // A timer set for an earlier time stays: while requests come and go, it fires occasionally
            // instead of being reset each time.
            if timer.is_elapsed() || timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if !self.may_begin_shutdown() && self.due().is_some_and(|due| due <= Instant::now()) {
                return Poll::Ready(());
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let due = self.activity.due(self.idle, self.write);
        let grace = (self.draining && !self.shutdown_begun).then_some(self.accepted + REQUEST_GRACE);
        due.into_iter().chain(grace).min()
    }

    /// Whether the connection may be shut down: not while its first request may be on the way.
    fn may_begin_shutdown(&self) -> bool {
        self.draining
            && !self.shutdown_begun
            && (self.activity.has_begun() || self.accepted.elapsed() >= REQUEST_GRACE)
    }

    /// Begins the shutdown if it is due; returns whether it did.
    fn begin_shutdown<C: GracefulConnection>(&mut self, connection: Pin<&mut C>) -> bool {
        let begins = self.may_begin_shutdown();
        if begins {
            self.shutdown_begun = true;
            connection.graceful_shutdown();
        }
        begins
    }
}
