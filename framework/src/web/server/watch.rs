//! When a connection ends: by itself, when it is overdue, or soon after the server begins to drain.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper_util::server::graceful::GracefulConnection;
use tokio::time::{Instant, Sleep, sleep};

use super::activity::Activity;

/// How long a connection that was accepted just before shutdown may take to send its request.
const FRESH: Duration = Duration::from_secs(1);

/// Drives a connection, closes it when it is overdue, and tells it when the server drains.
pub(super) struct Watch<'a> {
    activity: &'a Activity,
    accepted: Instant,
    idle: Duration,
    write: Duration,
    draining: bool,
    told: bool,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<'a> Watch<'a> {
    /// Watches a connection that was accepted now. It may be `idle` for so long, and a reply that
    /// is being sent over HTTP/2 may wait for the client for as long as a `write`.
    pub(super) fn new(activity: &'a Activity, idle: Duration, write: Duration) -> Self {
        let accepted = Instant::now();
        Self { activity, accepted, idle, write, draining: false, told: false, timer: None }
    }

    /// Whether the server drains.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// The server drains from now on.
    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    /// Ready when the connection is over, by itself or because it was overdue.
    pub(super) fn poll<C: GracefulConnection>(
        &mut self,
        mut connection: Pin<&mut C>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            self.tell(connection.as_mut());
            // An error here is the client's: it left, or sent what is no HTTP and was told so.
            if connection.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            if self.tell(connection.as_mut()) {
                continue;
            }
            let Some(due) = self.due() else {
                return Poll::Pending;
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(Duration::ZERO)));
            // A timer that is set for earlier stays: while requests come and go, it fires once
            // in a while instead of being moved each time.
            if timer.is_elapsed() || timer.deadline() > due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if !self.may_be_told() && self.due().is_some_and(|due| due <= Instant::now()) {
                return Poll::Ready(());
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let due = self.activity.due(self.idle, self.write);
        let fresh = (self.draining && !self.told).then_some(self.accepted + FRESH);
        due.into_iter().chain(fresh).min()
    }

    /// Whether it is time to say that the server drains: not before a request that may be on its way.
    fn may_be_told(&self) -> bool {
        self.draining && !self.told && (self.activity.has_begun() || self.accepted.elapsed() >= FRESH)
    }

    /// Says it; whether it was said just now.
    fn tell<C: GracefulConnection>(&mut self, connection: Pin<&mut C>) -> bool {
        let tells = self.may_be_told();
        if tells {
            self.told = true;
            connection.graceful_shutdown();
        }
        tells
    }
}
