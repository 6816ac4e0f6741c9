//! Tracks what a connection is doing, so that it can be closed after being idle for too long.
//!
//! A connection is idle while no request is open and nothing is waiting to be written. An unfinished head is
//! not an open request. Whether the socket is alive does not matter: pings would keep a connection open
//! forever.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::web::body::Upload;

/// The size of the pieces in which data is passed to an HTTP/2 stream, in bytes.
const PIECE_BYTES: usize = 16 * 1024;

/// Shared by a connection's task, its socket and its requests.
pub(super) struct Activity(Mutex<State>);

struct State {
    open: usize,
    requests: u64,
    idle_since: Instant,
    write_blocked: bool,
    head_begun: bool,
    upload: Option<Arc<Upload>>,
    untaken: usize,
    taken_at: Instant,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self(Mutex::new(State {
            open: 0,
            requests: 0,
            idle_since: now,
            write_blocked: false,
            head_begun: false,
            upload: None,
            untaken: 0,
            taken_at: now,
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
        Open(self.clone())
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

    /// When to close the connection if nothing happens before. `None` while a reply is being prepared,
    /// or the socket's own timeout applies.
    pub(super) fn due(&self, idle: Duration, untaken: Duration) -> Option<Instant> {
        let state = self.state();
        if state.open == 0 {
            (!state.write_blocked).then(|| state.idle_since + idle)
        } else {
            (state.untaken > 0).then(|| state.taken_at + untaken)
        }
    }
}

/// An open request.
pub(super) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.idle_since = Instant::now();
    }
}

/// A reply's body, which keeps its request open until the client has received it.
///
/// On HTTP/2 a client that grants no window blocks no write, so it is detected here: the body is passed
/// on in pieces, and the next piece is polled once the previous one could be sent.
pub(super) struct Reply {
    inner: Body,
    open: Open,
    in_pieces: bool,
    rest: Bytes,
    untaken: bool,
}

impl Reply {
    pub(super) fn new(inner: Body, open: Open, in_pieces: bool) -> Self {
        Self { inner, open, in_pieces, rest: Bytes::new(), untaken: false }
    }

    fn set_untaken(&mut self, untaken: bool) {
        if !self.in_pieces || (!untaken && !self.untaken) {
            return;
        }
        let mut state = self.open.0.state();
        state.taken_at = Instant::now();
        state.untaken = state.untaken + usize::from(untaken) - usize::from(self.untaken);
        self.untaken = untaken;
    }

    fn piece(&mut self) -> Frame<Bytes> {
        let length = self.rest.len().min(PIECE_BYTES);
        Frame::data(self.rest.split_to(length))
    }
}

impl http_body::Body for Reply {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.set_untaken(false);
        if !this.rest.is_empty() {
            this.set_untaken(true);
            return Poll::Ready(Some(Ok(this.piece())));
        }
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = polled else {
            return polled;
        };
        this.set_untaken(true);
        match frame.into_data() {
            Ok(data) if this.in_pieces => {
                this.rest = data;
                Poll::Ready(Some(Ok(this.piece())))
            }
            Ok(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.set_untaken(false);
    }
}
