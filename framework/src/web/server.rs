//! The HTTP server: axum's router on hyper, with limits on everything a client may hold.
//!
//! A connection without an open request closes within [`Limits::header_seconds`], whatever it sends.
//! Every pending reply is sent before its connection closes, and what the client still sends meanwhile
//! is read and discarded: otherwise a reset would destroy the reply. An error of one connection never
//! affects another one or the server.

mod activity;
mod connection;
mod limits;
mod proxy_protocol;
mod reply;
mod socket;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::TrustedProxies;
use crate::error::Result;
use connection::Connections;
pub(crate) use connection::StreamedIn;
pub use limits::Limits;

/// The pause before accepting again when the process or the machine has run out of a resource.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `router` to the clients of `listener` until `shutdown` completes. Then it stops accepting,
/// closes idle connections, and returns when the open requests have finished or timed out.
///
/// It speaks HTTP/1.1, and HTTP/2 with prior knowledge. Handlers get the client's address from
/// `axum::extract::ConnectInfo<SocketAddr>`; behind one of `proxies` it is what that proxy says, with
/// port 0 if it says none.
///
/// # Errors
/// Only when the limits are invalid; nothing that a client does is an error.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    proxies: TrustedProxies,
    shutdown: impl Future<Output = ()>,
) -> Result<()> {
    let drain = Duration::from_secs(limits.drain_seconds);
    let (draining, ended) = (CancellationToken::new(), CancellationToken::new());
    // Dropping the server instead of shutting it down closes its connections.
    let _ended = ended.clone().drop_guard();
    let tasks = TaskTracker::new();
    let connections =
        Connections::new(router, limits, proxies, draining.clone(), ended.clone(), tasks.clone())?;
    let take = |stream: TcpStream, peer: SocketAddr| connections.take(stream, peer);

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
