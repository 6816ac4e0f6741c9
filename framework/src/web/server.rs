//! The HTTP server: axum's router on hyper, with a bound on everything a client may hold.
//!
//! Every connection that has no request to answer closes within [`Limits::header_seconds`],
//! whatever it sends or does not. Every reply that is due is sent before a connection closes, and
//! what the client still sends is read away meanwhile, or a reset would take the reply with it.
//! An error of one connection never ends another, nor the server.

mod activity;
mod connection;
mod socket;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Result;
use connection::Connections;

/// What clients may hold, and for how long. Every bound is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once; one more is told 503 and closed. Each takes a file descriptor.
    pub connections: usize,
    /// Bytes of a request's line and header fields; more is 431. At least 8 KiB.
    pub header_bytes: usize,
    /// Header fields of a request; more are 431.
    pub header_count: usize,
    /// Seconds a connection may stay without a request to answer: until the first head is
    /// complete, and between the end of a reply and the next complete head.
    pub header_seconds: u64,
    /// Seconds a client may pause in a body, and seconds before the body's rate counts; 408.
    pub body_grace_seconds: u64,
    /// What a body must have averaged after that, in bytes per second of waiting for it; 408.
    pub body_min_bytes_per_second: u64,
    /// Seconds from the last byte of a request to its reply's head; 503.
    pub response_seconds: u64,
    /// Seconds a client may take nothing of a reply that is being sent.
    pub write_seconds: u64,
    /// Requests open at once on an HTTP/2 connection.
    pub streams: u32,
    /// Seconds that open requests have to finish at shutdown.
    pub drain_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            header_bytes: 32 * 1024,
            header_count: 100,
            header_seconds: 10,
            body_grace_seconds: 10,
            body_min_bytes_per_second: 16 * 1024,
            response_seconds: 30,
            write_seconds: 10,
            streams: 100,
            drain_seconds: 20,
        }
    }
}

/// Connections past the limit that are being told so; still more are closed without a word.
const REFUSALS: usize = 256;

/// How long to leave the listener alone when the process or the machine has run out of something.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` to the clients of `listener` until `shutdown` completes; then accepts no more,
/// closes what is idle, and returns when the open requests have finished or had their time.
///
/// HTTP/1.1 and HTTP/2 with prior knowledge. Handlers find the client's address in
/// `axum::extract::ConnectInfo<SocketAddr>`.
///
/// # Errors
/// Only if the limits make no sense; nothing that a client does is an error.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let limit = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let drain = Duration::from_secs(limits.drain_seconds);
    let (draining, ended) = (CancellationToken::new(), CancellationToken::new());
    // A server that is dropped rather than shut down takes its connections with it.
    let _ended = ended.clone().drop_guard();
    let tasks = TaskTracker::new();
    let connections = Connections::new(router, limits, draining.clone(), ended.clone(), tasks.clone())?;
    let take = |stream: TcpStream, peer: SocketAddr| {
        if let Ok(permit) = limit.clone().try_acquire_owned() {
            let connections = connections.clone();
            tasks.spawn(async move {
                connections.serve(stream, peer).await;
                drop(permit);
            });
        } else if let Ok(permit) = refusals.clone().try_acquire_owned() {
            tasks.spawn(async move {
                connection::refuse(stream).await;
                drop(permit);
            });
        }
    };

    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => take(stream, peer),
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections; trying again");
                tokio::select! {
                    () = &mut shutdown => break,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }

    // Whoever the kernel has already accepted believes to be connected: they are served, not reset.
    while let Some(Ok((stream, peer))) = waiting(&listener).await {
        take(stream, peer);
    }
    drop(listener);
    draining.cancel();
    tasks.close();
    if tokio::time::timeout(drain, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "closing connections that did not finish in time");
        ended.cancel();
        tasks.wait().await;
    }
    Ok(())
}

/// A connection that waits to be accepted, if there is one now.
async fn waiting(listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    std::future::poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether an error of accepting says that a client has already left, which needs no pause.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
