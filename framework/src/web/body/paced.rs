//! The body of a form, as slowly as its parser can take it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// Maximum bytes before a part's content, besides the frame that they begin in.
const HEAD_BYTES: i64 = 16 * 1024;

/// The error for a part whose head does not end.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the head of a part is too long")]
pub(super) struct HeadTooLong;

/// How much of a form its parser may still read before the head of the next part must be complete.
#[derive(Clone, Debug)]
pub(super) struct HeadLimit(Arc<AtomicI64>);

impl HeadLimit {
    /// The parser looks for a part: from now on bytes count.
    pub(super) fn begin(&self) {
        self.0.store(HEAD_BYTES, Ordering::Relaxed);
    }

    /// The parser reads a part's content.
    pub(super) fn end(&self) {
        self.0.store(i64::MAX, Ordering::Relaxed);
    }
}

/// A body that is pending once (and wakes at once) between two frames.
///
/// multer reads on for as long as there are frames. It would keep in memory whatever arrives faster than
/// it parses, and it searches all of that from the start for the end of a part's head: quadratic, if that
/// never comes. A pause after each frame makes it parse what it has, and lets [`HeadLimit`] count.
///
/// It also polls twice for the first boundary, and examines its buffer only after the first poll. A whole
/// form that arrives between the two is refused as incomplete, about once in some thousand uploads
/// (<https://github.com/rwf2/multer/pull/70>). That can't happen if no single poll yields both a byte
/// and the end.
pub(super) struct Paced {
    inner: Body,
    limit: HeadLimit,
    paused: bool,
}

impl Paced {
    pub(super) fn wrap(inner: Body) -> (Body, HeadLimit) {
        let limit = HeadLimit(Arc::new(AtomicI64::new(HEAD_BYTES)));
        (Body::new(Self { inner, limit: limit.clone(), paused: true }), limit)
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.paused {
            self.paused = true;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        self.paused = false;
        if let Some(data) = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()) {
            // The frame that exceeds the limit is still passed on: the head may end in it.
            if self.limit.0.fetch_sub(data.len() as i64, Ordering::Relaxed) <= 0 {
                return Poll::Ready(Some(Err(HeadTooLong.into())));
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
