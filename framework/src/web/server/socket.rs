//! A client's socket: it times out if the client does not read, and closes without losing the reply.
//!
//! The kernel answers bytes that are never read with a reset, and a reset destroys data that the client
//! has received but not yet read. If the client is still sending, the socket therefore first shuts down
//! its own side and discards the rest of the input (nginx's lingering close). The connection's idle
//! limit bounds that.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_io_timeout::TimeoutWriter;

use super::activity::Activity;

/// During a lingering close, a client that is silent for this long has surely read its reply.
const QUIET: Duration = Duration::from_secs(2);

/// Reads of 8 KiB per poll, so that a fast client can't starve other tasks.
const READS_PER_TURN: usize = 32;

pub(super) struct Socket {
    inner: Pin<Box<TimeoutWriter<TcpStream>>>,
    activity: Arc<Activity>,
    ended: bool,
    quiet: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration, activity: Arc<Activity>) -> Self {
        let mut inner = TimeoutWriter::new(stream);
        inner.set_timeout(Some(write_timeout));
        Self { inner: Box::pin(inner), activity, ended: false, quiet: None }
    }

    fn poll_read_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let quiet = self.quiet.get_or_insert_with(|| Box::pin(sleep(QUIET)));
        let mut scratch = [0; 8192];
        for _ in 0..READS_PER_TURN {
            let mut buffer = ReadBuf::new(&mut scratch);
            match self.inner.as_mut().poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    quiet.as_mut().reset(Instant::now() + QUIET);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return quiet.as_mut().poll(cx),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = self.inner.as_mut().poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.activity.read();
        }
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = self.inner.as_mut().poll_write(cx, bytes);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = self.inner.as_mut().poll_write_vectored(cx, slices);
        self.activity.wrote(polled.is_pending());
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            ready!(self.inner.as_mut().poll_shutdown(cx))?;
            self.ended = true;
        }
        if self.activity.has_unread() {
            ready!(self.poll_read_away(cx));
        }
        Poll::Ready(Ok(()))
    }
}
