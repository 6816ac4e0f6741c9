//! The HTTP server: axum's router on hyper, with limits on everything a client may hold.
//!
//! A connection without an open request closes within [`Limits::header_seconds`], whatever it sends.
//! Every pending reply is sent before its connection closes, and what the client still sends meanwhile
//! is read and discarded: otherwise a reset would destroy the reply. An error of one connection never
//! affects another one or the server.

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

/// Limits on what clients may hold, and for how long. None can be turned off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum number of open connections; further ones are answered 503 and closed. Each takes a file
    /// descriptor.
    pub connections: usize,
    /// Maximum size of a request's line and headers, in bytes; more is answered 431. At least 8 KiB.
    pub header_bytes: usize,
    /// Maximum number of headers in a request; more are answered 431.
    pub header_count: usize,
    /// How long a connection may be without an open request, in seconds: until the first head is
    /// complete, and from the end of a reply to the next complete head.
    pub header_seconds: u64,
    /// How long a client may pause within a body, and how long before the body's rate counts, in
    /// seconds; then 408.
    pub body_grace_seconds: u64,
    /// The minimum average rate of a body after that, in bytes per second of waiting for it; below it,
    /// 408.
    pub body_min_bytes_per_second: u64,
    /// The time from the last byte of a request to the head of its reply, in seconds; then 503.
    pub response_seconds: u64,
    /// How long a client may read nothing of a reply that is being sent, in seconds.
    pub write_seconds: u64,
    /// Maximum number of open requests per HTTP/2 connection.
    pub streams: u32,
    /// How long open requests may take to finish at shutdown, in seconds.
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

/// Maximum number of connections being answered 503 at once; further ones are closed without a reply.
const REFUSALS: usize = 256;

/// The pause before accepting again when the process or the machine has run out of a resource.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` to the clients of `listener` until `shutdown` completes. Then it stops accepting,
/// closes idle connections, and returns when the open requests have finished or timed out.
///
/// It speaks HTTP/1.1, and HTTP/2 with prior knowledge. Handlers get the client's address from
/// `axum::extract::ConnectInfo<SocketAddr>`.
///
/// # Errors
/// Only when the limits are invalid; nothing that a client does is an error.
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
    // Dropping the server instead of shutting it down closes its connections.
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

    // Clients that the kernel has already accepted count as connected: they are served, not reset.
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

/// The next connection in the accept queue, if there is one.
async fn waiting(listener: &TcpListener) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    std::future::poll_fn(|cx| match listener.poll_accept(cx) {
        Poll::Ready(accepted) => Poll::Ready(Some(accepted)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Whether accepting failed because the client has already left, which needs no pause.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests;
