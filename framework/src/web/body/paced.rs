//! The body of a form, as slowly as its parser can take it.

use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::unread;
use crate::web::problem::Problem;

/// Maximum bytes before a part's content, besides the frame that they begin in.
const HEAD_BYTES: i64 = 16 * 1024;

/// What a form's parser and its body tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// How much the parser may still read before the head of the next part must be complete, in bytes.
    left: AtomicI64,
    failure: Mutex<Option<Problem>>,
}

impl Pace {
    /// The parser looks for a part: from now on bytes count.
    pub(super) fn begin_head(&self) {
        self.0.left.store(HEAD_BYTES, Ordering::Relaxed);
    }

    /// The parser reads a part's content.
    pub(super) fn end_head(&self) {
        self.0.left.store(i64::MAX, Ordering::Relaxed);
    }

    /// Why the body ended.
    pub(super) fn failure(&self) -> Option<Problem> {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, failure: Problem) {
        self.0.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
    }
}

/// A body that is pending once (and wakes at once) between two frames.
///
/// multer reads on for as long as there are frames. It would keep in memory whatever arrives faster than
/// it parses, and it searches all of that from the start for the end of a part's head: quadratic, if that
/// never comes. A pause after each frame makes it parse what it has, and lets [`Pace`] count.
///
/// It also polls twice for the first boundary, and examines its buffer only after the first poll. A whole
/// form that arrives between the two is refused as incomplete, about once in some thousand uploads
/// (<https://github.com/rwf2/multer/pull/70>). That can't happen if no single poll yields both a byte
/// and the end.
pub(super) struct Paced {
    inner: Body,
    pace: Pace,
    paused: bool,
}

impl Paced {
    pub(super) fn wrap(inner: Body) -> (Body, Pace) {
        let pace = Pace::default();
        (Body::new(Self { inner, pace: pace.clone(), paused: true }), pace)
    }
}

impl http_body::Body for Paced {
    type Data = Bytes;
    type Error = axum::Error;

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
        match &frame {
            Some(Err(error)) => self.pace.fail(unread(error)),
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as i64;
                // The frame that exceeds the limit is still passed on: the head may end in it.
                if self.pace.0.left.fetch_sub(bytes, Ordering::Relaxed) <= 0 {
                    self.pace.fail(Problem::malformed(
                        "A part of the form has no content after 16 KiB, or no name that fits.",
                    ));
                    return Poll::Ready(Some(Err(axum::Error::new("the head of a part is too long"))));
                }
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
