//! A body that ends one poll after its last bytes.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// A body that is pending once (and wakes at once) between its last frame and its end.
///
/// multer polls twice for the first boundary, and examines its buffer only after the first poll. A whole
/// form that arrives between the two is refused as incomplete, about once in some thousand uploads
/// (<https://github.com/rwf2/multer/pull/70>). That can't happen if no single poll yields both a byte
/// and the end.
pub(super) struct DelayedEof {
    inner: Body,
    ended: bool,
}

impl DelayedEof {
    pub(super) fn wrap(inner: Body) -> Body {
        Body::new(Self { inner, ended: false })
    }
}

impl http_body::Body for DelayedEof {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            None => {
                self.ended = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            frame => Poll::Ready(frame),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
