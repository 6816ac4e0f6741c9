//! A reply on its way to the client: what it holds is charged until its last byte is sent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::{Buf, Bytes};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::activity::Open;

/// The size of the pieces in which data is passed to an HTTP/2 stream, in bytes. A client must take one
/// in the time that it has to take anything.
const PIECE_BYTES: usize = 16 * 1024;

/// A reply's body.
///
/// On HTTP/2 a client that grants no window blocks no write, and hyper does not poll the body then. So a
/// stream waits for its client while a piece is unsent, or while hyper polls no more although the body
/// has more.
pub(super) struct Reply {
    inner: Body,
    rest: Bytes,
    sending: Arc<Sending>,
}

/// What a reply keeps until it is sent. Its body and its unsent pieces share it.
struct Sending {
    open: Open,
    /// On HTTP/2 only; on HTTP/1 the socket's timeout applies.
    progress: Option<Mutex<Progress>>,
    /// The charges, released when the reply is sent.
    _held: Box<dyn Send + Sync>,
}

struct Progress {
    pieces: usize,
    /// Whether hyper would send more if there were more.
    is_polled: bool,
    waits_since: Option<Instant>,
}

impl Reply {
    /// Keeps `held` until the reply is sent.
    pub(super) fn new(inner: Body, open: Open, is_http2: bool, held: impl Send + Sync + 'static) -> Self {
        let progress = Progress { pieces: 0, is_polled: false, waits_since: None };
        let progress = is_http2.then(|| Mutex::new(progress));
        let reply = Self {
            inner,
            rest: Bytes::new(),
            sending: Arc::new(Sending { open, progress, _held: Box::new(held) }),
        };
        match http_body::Body::is_end_stream(&reply) {
            true => reply.sending.open.finish(),
            false => reply.sending.update(|_| {}),
        }
        reply
    }

    fn piece(&mut self) -> Frame<Piece> {
        let length = match self.sending.progress {
            Some(_) => self.rest.len().min(PIECE_BYTES),
            None => self.rest.len(),
        };
        self.sending.update(|progress| {
            progress.pieces += 1;
            progress.is_polled = false;
        });
        let piece = Piece { bytes: self.rest.split_to(length), sending: self.sending.clone() };
        if http_body::Body::is_end_stream(self) {
            self.sending.open.finish();
        }
        Frame::data(piece)
    }
}

impl Sending {
    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let Some(progress) = &self.progress else { return };
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        let waits = progress.pieces > 0 || !progress.is_polled;
        let before = progress.waits_since;
        // More data for the client is no progress of the client.
        let since = waits.then(|| before.unwrap_or_else(Instant::now));
        if since != before {
            self.open.waits(before, since);
            progress.waits_since = since;
        }
    }

    /// The client has taken a piece, or will never take it.
    fn taken(&self) {
        self.update(|progress| {
            progress.pieces -= 1;
            if let Some(before) = progress.waits_since.take() {
                self.open.waits(Some(before), None);
            }
        });
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.update(|progress| (progress.pieces, progress.is_polled) = (0, true));
    }
}

impl http_body::Body for Reply {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        let this = self.get_mut();
        while this.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) else {
                this.sending.update(|progress| progress.is_polled = true);
                return Poll::Pending;
            };
            match frame {
                None => {
                    this.sending.open.finish();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => this.rest = data,
                    Err(frame) => {
                        let trailers = frame.into_trailers().unwrap_or_default();
                        return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                    }
                },
            }
        }
        Poll::Ready(Some(Ok(this.piece())))
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

/// Bytes of a reply that are not sent yet.
pub(super) struct Piece {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.sending.taken();
    }
}
