//! One connection from its first byte to its end, with its requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use futures::FutureExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::Limits;
use super::activity::{Activity, Reply};
use super::socket::Socket;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::web::body::{self, MinRate, MinRateBody, Upload};
use crate::web::problem::{PROBLEM_JSON, Problem};

/// How long a refused client may take to read the reply.
const REFUSAL: Duration = Duration::from_secs(2);

/// The minimum size of hyper's buffers, in bytes.
const MIN_HEADER_BYTES: usize = 8 * 1024;

/// The flow-control windows of an HTTP/2 stream and connection, in bytes: how much body data a client
/// can make us buffer.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// Concurrent handlers allowed per allowed connection. There may be more handlers than connections: for
/// HTTP/2 streams, and for clients that have disconnected.
const HANDLERS_PER_CONNECTION: usize = 2;

/// State shared by all connections.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    router: Router,
    limits: Limits,
    http: auto::Builder<TokioExecutor>,
    draining: CancellationToken,
    ended: CancellationToken,
    /// Running handlers, including those whose client has disconnected.
    handlers: TaskTracker,
    /// Bounds the handlers, as limiting connections does not.
    running: Arc<Semaphore>,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        limits: Limits,
        draining: CancellationToken,
        ended: CancellationToken,
        handlers: TaskTracker,
    ) -> Result<Self> {
        let http = http(&limits)?;
        let running = limits.connections.saturating_mul(HANDLERS_PER_CONNECTION).min(Semaphore::MAX_PERMITS);
        let running = Arc::new(Semaphore::new(running));
        Ok(Self(Arc::new(Shared { router, limits, http, draining, ended, handlers, running })))
    }

    /// Serves one connection to its end.
    pub(super) async fn serve(self, stream: TcpStream, peer: SocketAddr) {
        let Shared { limits, http, draining, ended, .. } = &*self.0;
        // Otherwise small replies wait for acknowledgements. An error can be ignored: the next read
        // reports a dead socket.
        let _ = stream.set_nodelay(true);
        let activity = Activity::new();
        let write = Duration::from_secs(limits.write_seconds);
        let socket = TokioIo::new(Socket::new(stream, write, activity.clone()));
        let service = service_fn(|request| {
            let (shared, activity) = (self.0.clone(), activity.clone());
            async move { Ok::<_, Infallible>(answer(&shared, &activity, peer, request).await) }
        });
        let mut connection = pin!(http.serve_connection(socket, service));
        let mut drained = pin!(draining.cancelled());
        let idle = Duration::from_secs(limits.header_seconds);
        let mut watch = Watch::new(&activity, idle, write);
        let served = std::future::poll_fn(|cx| {
            if !watch.is_draining() && drained.as_mut().poll(cx).is_ready() {
                watch.drain();
            }
            watch.poll(connection.as_mut(), cx)
        });
        tokio::select! {
            biased;
            () = ended.cancelled() => {}
            () = served => {}
        }
    }
}

/// A hyper builder for both protocols, with our limits.
fn http(limits: &Limits) -> Result<auto::Builder<TokioExecutor>> {
    let max_list = u32::try_from(limits.header_bytes).ok();
    let Some(max_list) = max_list.filter(|_| limits.header_bytes >= MIN_HEADER_BYTES) else {
        let least = format!("header_bytes must be at least {MIN_HEADER_BYTES} and below 4 GiB");
        return Err(Error::configuration(least));
    };
    let mut http = auto::Builder::new(TokioExecutor::new());
    let mut http1 = http.http1();
    // The head must fit hyper's read buffer, so this bounds it. No header timer: `Watch` has one.
    http1.max_buf_size(limits.header_bytes);
    // Setting a value other than hyper's default costs an allocation per request.
    if limits.header_count != 100 {
        http1.max_headers(limits.header_count);
    }
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(max_list)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(STREAM_WINDOW_BYTES as usize)
        // Detects peers that vanish during a reply; `Watch` closes idle connections.
        .keep_alive_interval(Duration::from_secs(limits.header_seconds.div_ceil(2)))
        .keep_alive_timeout(Duration::from_secs(limits.header_seconds.div_ceil(2)));
    Ok(http)
}

/// Answers one request within the time limit.
async fn answer(
    shared: &Shared,
    activity: &Arc<Activity>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Reply> {
    let limits = &shared.limits;
    let is_http1 = request.version() < Version::HTTP_2;
    let min_rate = MinRate {
        grace: Duration::from_secs(limits.body_grace_seconds),
        min_bytes_per_second: limits.body_min_bytes_per_second,
    };
    let (parts, incoming) = request.into_parts();
    let (limited, upload) = MinRateBody::new(incoming, min_rate);
    let open = activity.open(is_http1.then(|| upload.clone()));
    let mut response = if parts.headers.len() > limits.header_count {
        Problem::header_too_large("The request has too many header fields.").into_response()
    } else {
        let mut request = Request::from_parts(parts, Body::new(limited));
        request.extensions_mut().insert(ConnectInfo(peer));
        in_time(shared, request, &upload).await
    };
    let stalled = upload.has_stalled();
    if stalled && !response.status().is_success() {
        // Replaces the handler's reply: its extractor may not have detected why the body failed.
        response = body::stalled().into_response();
    }
    if is_http1 && (stalled || shared.draining.is_cancelled()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Reply::new(body, open, !is_http1))
}

/// The router's reply, or 503 if it takes too long after the request's last byte.
///
/// A handler that may have effects runs in a task of its own, so that a disconnect or a timeout does not
/// stop it between two effects. (Its request body ends with the connection.) The handler of a safe
/// method, such as GET, has no effects: it needs no task and ends when its client disconnects.
async fn in_time(shared: &Shared, request: Request<Body>, upload: &Upload) -> Response<Body> {
    let allowed = Duration::from_secs(shared.limits.response_seconds);
    let method = request.method().clone();
    let Ok(place) = shared.running.clone().try_acquire_owned() else {
        return Problem::unavailable(1).into_response();
    };
    let call = shared.router.clone().oneshot(request);
    let outcome = if method.is_safe() {
        let _place = place;
        let call = pin!(AssertUnwindSafe(call).catch_unwind());
        within(allowed, upload, call)
            .await
            .map(|called| called.map(Some).map_err(|_| "it panicked".to_owned()))
    } else {
        let ended = shared.ended.clone();
        let call = shared.handlers.spawn(async move {
            let _place = place;
            ended.run_until_cancelled(call).await
        });
        within(allowed, upload, pin!(call)).await.map(|joined| joined.map_err(|error| error.to_string()))
    };
    match outcome {
        Some(Ok(Some(Ok(response)))) => response,
        Some(Ok(Some(Err(never)))) => match never {},
        // The process has stopped waiting for its handlers.
        Some(Ok(None)) => Problem::unavailable(1).into_response(),
        Some(Err(error)) => {
            tracing::error!(%method, error, "a handler ended without a reply");
            Problem::internal().into_response()
        }
        None => {
            tracing::warn!(%method, "a handler took too long");
            Problem::unavailable(1).into_response()
        }
    }
}

/// The output of `call`, or `None` if it takes longer than allowed after the request's last byte.
async fn within<C: Future>(allowed: Duration, upload: &Upload, mut call: Pin<&mut C>) -> Option<C::Output> {
    loop {
        let due = upload.last_byte() + allowed;
        match timeout_at(due, call.as_mut()).await {
            Ok(output) => return Some(output),
            // More of the body has arrived meanwhile.
            Err(_) if upload.last_byte() + allowed > Instant::now() => {}
            Err(_) => return None,
        }
    }
}

/// Tells a client that the connection limit is reached, without reading its request.
pub(super) async fn refuse(mut stream: TcpStream) {
    let problem = Problem::unavailable(1);
    let json = serde_json::to_string(&problem).unwrap_or_default();
    let reply = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: {PROBLEM_JSON}\r\ncache-control: no-store\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{json}",
        json.len(),
    );
    let told = async {
        stream.write_all(reply.as_bytes()).await?;
        stream.shutdown().await?;
        // Input is read and discarded, or a reset would destroy the reply.
        let mut scratch = [0; 4096];
        while stream.read(&mut scratch).await? > 0 {}
        std::io::Result::Ok(())
    };
    // Errors and timeouts don't matter: the connection is being closed anyway.
    let _ = timeout(REFUSAL, told).await;
}
