//! Tracks what a connection is doing, so that it can be closed after being idle, or after its client has
//! taken nothing of a reply, for too long.
//!
//! A connection is idle while no request is open and nothing is waiting to be written. An unfinished head is
//! not an open request. Whether the socket is alive does not matter: pings would keep a connection open
//! forever.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::web::body::Upload;

/// How many more requests a client may reset on a connection than it lets finish. People who leave a page
/// reset a few at a time; a client that does nothing else makes the server work for nobody.
const MOST_RESET: u64 = 100;

/// Shared by a connection's task, its socket and its requests.
pub(super) struct Activity(Mutex<State>);

struct State {
    open: usize,
    requests: u64,
    finished: u64,
    reset: u64,
    idle_since: Instant,
    write_blocked: bool,
    head_begun: bool,
    upload: Option<Arc<Upload>>,
    /// The HTTP/2 streams whose client could take more of its reply: since when, and which.
    waiting: BTreeSet<(Instant, u64)>,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            open: 0,
            requests: 0,
            finished: 0,
            reset: 0,
            idle_since: Instant::now(),
            write_blocked: false,
            head_begun: false,
            upload: None,
            waiting: BTreeSet::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a complete request head; the request is open until the result is dropped. Pass `upload`
    /// if the rest of the body would follow on this connection, as in HTTP/1.
    pub(super) fn open(self: &Arc<Self>, upload: Option<Arc<Upload>>) -> Open {
        let mut state = self.state();
        state.open += 1;
        state.requests += 1;
        state.head_begun = false;
        state.upload = upload;
        Open { activity: self.clone(), number: state.requests, is_finished: AtomicBool::new(false) }
    }

    /// Whether there has been any request.
    pub(super) fn has_begun(&self) -> bool {
        self.state().requests > 0
    }

    /// Records that bytes were read: the start of a head if no request is open.
    pub(super) fn read(&self) {
        let mut state = self.state();
        state.head_begun |= state.open == 0;
    }

    /// Records that a write succeeded, or has to wait for the client.
    pub(super) fn wrote(&self, blocked: bool) {
        let mut state = self.state();
        if state.write_blocked && !blocked {
            state.idle_since = Instant::now();
        }
        state.write_blocked = blocked;
    }

    /// Whether the client may be sending data that will not be read.
    pub(super) fn has_unread(&self) -> bool {
        let state = self.state();
        state.head_begun || state.upload.as_ref().is_some_and(|upload| upload.is_unread())
    }

    /// When to close the connection if nothing happens before: it may be `idle` so long, and no stream
    /// may wait for its client longer than `write`; at once if its client resets its requests. `None`
    /// while replies are being prepared, or the socket's own timeout applies.
    pub(super) fn due(&self, idle: Duration, write: Duration) -> Option<Instant> {
        let state = self.state();
        match state.open {
            _ if state.reset > state.finished + MOST_RESET => Some(state.idle_since),
            0 => (!state.write_blocked).then(|| state.idle_since + idle),
            _ => state.waiting.first().map(|(since, _)| *since + write),
        }
    }
}

/// An open request.
pub(super) struct Open {
    activity: Arc<Activity>,
    number: u64,
    is_finished: AtomicBool,
}

impl Open {
    /// Records that all of the reply was passed on, as the client let it.
    pub(super) fn finish(&self) {
        self.is_finished.store(true, Ordering::Relaxed);
    }

    /// Records since when this request waits for its client, in place of what was recorded.
    pub(super) fn waits(&self, before: Option<Instant>, since: Option<Instant>) {
        let mut state = self.activity.state();
        if let Some(before) = before {
            state.waiting.remove(&(before, self.number));
        }
        if let Some(since) = since {
            state.waiting.insert((since, self.number));
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.open -= 1;
        match self.is_finished.load(Ordering::Relaxed) {
            true => state.finished += 1,
            false => state.reset += 1,
        }
        state.idle_since = Instant::now();
    }
}
