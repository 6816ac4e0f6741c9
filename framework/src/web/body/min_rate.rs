//! Measures the rate of a request's body, and ends a body that comes too slowly.
//!
//! Only the time spent waiting for the client counts, not the time the handler takes.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep_until};

/// The error for a body that came too slowly.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the body came too slowly")]
pub struct Stalled;

/// The minimum rate of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MinRate {
    /// The longest wait for the client at a time, and the total wait before the rate counts.
    pub(crate) grace: Duration,
    /// The average rate required after that.
    pub(crate) min_bytes_per_second: u64,
}

impl MinRate {
    /// The longest total wait for the client after so many bytes.
    fn max_wait(&self, bytes: u64) -> Duration {
        self.grace.max(Duration::from_millis(bytes.saturating_mul(1000) / self.min_bytes_per_second.max(1)))
    }
}

/// The state of a request's body while a handler has it.
#[derive(Debug)]
pub(crate) struct Upload {
    started: Instant,
    last_byte_millis: AtomicU64,
    ended: AtomicBool,
    stalled: AtomicBool,
}

impl Upload {
    /// When the last bytes came, or the request itself if there were none.
    pub(crate) fn last_byte(&self) -> Instant {
        self.started + Duration::from_millis(self.last_byte_millis.load(Ordering::Relaxed))
    }

    /// Whether it was ended because it came too slowly.
    pub(crate) fn has_stalled(&self) -> bool {
        self.stalled.load(Ordering::Relaxed)
    }

    /// Whether it has not been read to its end.
    pub(crate) fn is_unread(&self) -> bool {
        !self.ended.load(Ordering::Relaxed) && !self.has_stalled()
    }
}

/// A body that fails with [`Stalled`] if it comes more slowly than its [`MinRate`].
pub(crate) struct MinRateBody<B> {
    inner: B,
    min_rate: MinRate,
    upload: Arc<Upload>,
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B: Body> MinRateBody<B> {
    pub(crate) fn new(inner: B, min_rate: MinRate) -> (Self, Arc<Upload>) {
        let upload = Arc::new(Upload {
            started: Instant::now(),
            last_byte_millis: AtomicU64::new(0),
            ended: AtomicBool::new(inner.is_end_stream()),
            stalled: AtomicBool::new(false),
        });
        let (bytes, waited, waiting_since, timer) = (0, Duration::ZERO, None, None);
        let limited = Self { inner, min_rate, upload: upload.clone(), bytes, waited, waiting_since, timer };
        (limited, upload)
    }

    /// Whether the current wait has taken too long.
    fn is_overdue(&mut self, cx: &mut Context<'_>) -> bool {
        let left = self.min_rate.max_wait(self.bytes).saturating_sub(self.waited);
        let first = self.waiting_since.is_none();
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let due = since + left.min(self.min_rate.grace);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if first {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

impl<B> Body for MinRateBody<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<axum::BoxError>,
{
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if this.upload.has_stalled() {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) else {
            if this.is_overdue(cx) {
                this.upload.stalled.store(true, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Stalled.into())));
            }
            return Poll::Pending;
        };
        if let Some(since) = this.waiting_since.take() {
            this.waited += since.elapsed();
        }
        if let Some(Ok(frame)) = &frame {
            this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
            let millis = this.upload.started.elapsed().as_millis() as u64;
            this.upload.last_byte_millis.store(millis, Ordering::Relaxed);
        }
        let ended = frame.is_none() || this.inner.is_end_stream();
        this.upload.ended.store(ended, Ordering::Relaxed);
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use http_body_util::{BodyExt, Full, StreamBody};

    const MIN_RATE: MinRate = MinRate { grace: Duration::from_secs(10), min_bytes_per_second: 1000 };

    /// Sends `count` chunks of `bytes`, one each `every`. Returns the seconds until the end, and the
    /// outcome.
    async fn send(bytes: usize, count: usize, every: Duration) -> (u64, Result<usize, bool>) {
        let begun = Instant::now();
        let chunks = futures::stream::unfold(0, move |sent| async move {
            tokio::time::sleep(every).await;
            let frame = Frame::data(Bytes::from(vec![0; bytes]));
            (sent < count).then_some((Ok::<_, std::io::Error>(frame), sent + 1))
        });
        let (limited, _) = MinRateBody::new(Box::pin(StreamBody::new(chunks)), MIN_RATE);
        let collected = axum::body::Body::new(limited).collect().await;
        let result =
            collected.map(|all| all.to_bytes().len()).map_err(|error| error.into_inner().is::<Stalled>());
        (begun.elapsed().as_secs(), result)
    }

    /// Sends so many bytes at once and then nothing.
    async fn send_then_stop(bytes: usize) -> (u64, Result<usize, bool>) {
        let begun = Instant::now();
        let frame = Ok::<_, std::io::Error>(Frame::data(Bytes::from(vec![0; bytes])));
        let chunks = futures::stream::iter([frame]).chain(futures::stream::pending());
        let (limited, _) = MinRateBody::new(StreamBody::new(chunks), MIN_RATE);
        let collected = axum::body::Body::new(limited).collect().await;
        let result =
            collected.map(|all| all.to_bytes().len()).map_err(|error| error.into_inner().is::<Stalled>());
        (begun.elapsed().as_secs(), result)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_slower_than_its_min_rate() {
        let second = Duration::from_secs(1);
        let (took, result) = send(1, 1000, second).await;
        assert_eq!((took, result), (10, Err(true)), "trickles");
        let (took, result) = send(1_000_000, 1, 9 * second).await;
        assert_eq!((took, result), (18, Ok(1_000_000)), "pauses");
        let (took, result) = send_then_stop(1_000_000).await;
        assert_eq!((took, result), (10, Err(true)), "stops with credit");
        let (took, result) = send(1_000_000, 2, 20 * second).await;
        assert_eq!((took, result), (10, Err(true)), "stops");
        let (took, result) = send(1100, 60, second).await;
        assert_eq!((took, result), (61, Ok(66_000)), "keeps the rate");
        let (took, result) = send(900, 60, second).await;
        assert_eq!((took, result), (10, Err(true)), "just below it");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_a_handler_takes_does_not_count() {
        let bytes = Full::new(Bytes::from_static(b"ready")).map_err(|never| match never {});
        let (mut limited, upload) = MinRateBody::new(bytes.map_err(|error: std::io::Error| error), MIN_RATE);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(upload.is_unread());
        assert!(limited.frame().await.unwrap().is_ok());
        assert!(!upload.is_unread() && !upload.has_stalled());
        assert_eq!(upload.last_byte().elapsed().as_secs(), 0);
    }
}
