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
use http_body::Body as _;
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
use super::activity::Activity;
use super::proxy_protocol;
use super::reply::Reply;
use super::socket::Socket;
use super::watch::Watch;
use crate::error::{Error, Result};
use crate::web::body::{self, MinRate, MinRateBody, Upload};
use crate::web::problem::{PROBLEM_JSON, Problem};
use crate::web::{Budget, Exhausted, TrustedProxies};

/// How long a refused client may take to read the reply.
const REFUSAL: Duration = Duration::from_secs(2);

/// The minimum size of hyper's buffers, in bytes.
const MIN_HEADER_BYTES: usize = 8 * 1024;

/// The flow-control windows of an HTTP/2 stream and connection, in bytes: how much body data a client
/// can make us buffer.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// How many requests of a connection are handled, or have an unsent reply, at once; further ones wait.
/// More than browsers open to a site over HTTP/1.1, and few enough that a client that reads nothing holds
/// little.
const PLACES: usize = 32;

/// Maximum number of connections being refused at once; further ones are closed without a reply.
const REFUSALS: usize = 256;

/// What a streamed reply counts as if it does not say how much of it is in memory, in bytes.
const UNKNOWN_BYTES: u64 = 64 * 1024;

/// An extension of a streamed reply: how many bytes of it are in memory at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamedIn(pub(crate) u64);

/// State shared by all connections.
#[derive(Clone)]
pub(super) struct Connections(Arc<Shared>);

struct Shared {
    router: Router,
    limits: Limits,
    proxies: TrustedProxies,
    http: auto::Builder<TokioExecutor>,
    draining: CancellationToken,
    ended: CancellationToken,
    /// All connections, and all running handlers, including those whose client has disconnected.
    tasks: TaskTracker,
    open: Budget,
    /// The connections among them whose client a proxy has named, charged to that client.
    proxied: Budget,
    refusals: Arc<Semaphore>,
    handlers: Budget,
    unsent: Budget,
}

impl Connections {
    pub(super) fn new(
        router: Router,
        limits: Limits,
        proxies: TrustedProxies,
        draining: CancellationToken,
        ended: CancellationToken,
        tasks: TaskTracker,
    ) -> Result<Self> {
        let http = http(&limits)?;
        let budget = |total: usize, share: usize| Budget::new(total as u64, share as u64);
        Ok(Self(Arc::new(Shared {
            open: budget(limits.connections, limits.connections_per_network),
            proxied: budget(limits.connections, limits.connections_per_network),
            refusals: Arc::new(Semaphore::new(REFUSALS)),
            handlers: budget(limits.handlers, limits.handlers_per_network),
            unsent: Budget::new(limits.unsent_bytes, limits.unsent_bytes_per_network),
            router,
            limits,
            proxies,
            http,
            draining,
            ended,
            tasks,
        })))
    }

    /// Serves a new connection in a task of its own, or refuses it.
    pub(super) fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = &self.0;
        let is_proxy = shared.proxies.trusts(peer.ip());
        let payer = if is_proxy { vec![] } else { vec![peer.ip().into()] };
        match shared.open.take(payer, 1) {
            Ok(held) => {
                let connections = self.clone();
                shared.tasks.spawn(async move {
                    connections.serve(stream, peer, is_proxy).await;
                    drop(held);
                });
            }
            Err(exhausted) => shared.refuse(stream, exhausted),
        }
    }

    /// Serves one connection to its end.
    async fn serve(self, mut stream: TcpStream, mut peer: SocketAddr, is_proxy: bool) {
        let Shared { limits, proxies, http, draining, ended, proxied, .. } = &*self.0;
        let mut held = None;
        if is_proxy && proxies.speak_proxy_protocol {
            let idle = Duration::from_secs(limits.header_seconds);
            let Some(client) = proxy_protocol::read(&mut stream, peer, idle).await else { return };
            if client != peer {
                peer = client;
                held = match proxied.take([peer.ip().into()], 1) {
                    Ok(held) => Some(held),
                    Err(exhausted) => return self.0.refuse(stream, exhausted),
                };
            }
        }
        // Otherwise small replies wait for acknowledgements. An error can be ignored: the next read
        // reports a dead socket.
        let _ = stream.set_nodelay(true);
        let activity = Activity::new();
        let places = Arc::new(Semaphore::new(PLACES));
        let write = Duration::from_secs(limits.write_seconds);
        let socket = TokioIo::new(Socket::new(stream, write, activity.clone()));
        let service = service_fn(|request| {
            let (shared, activity, places) = (self.0.clone(), activity.clone(), places.clone());
            async move { Ok::<_, Infallible>(answer(&shared, &activity, places, peer, request).await) }
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
        drop(held);
    }
}

impl Shared {
    /// Tells a client that its connection is one too many, without reading its request.
    fn refuse(&self, stream: TcpStream, exhausted: Exhausted) {
        if let Ok(permit) = self.refusals.clone().try_acquire_owned() {
            self.tasks.spawn(async move {
                refuse(stream, exhausted.into()).await;
                drop(permit);
            });
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

/// Answers one request within the time limit, once the connection has a place for it.
async fn answer(
    shared: &Shared,
    activity: &Arc<Activity>,
    places: Arc<Semaphore>,
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
    // The semaphore is never closed.
    let place = places.acquire_owned().await.ok().map(Arc::new);
    let client = shared.proxies.client(peer, &parts.headers);
    let is_safe = parts.method.is_safe();
    let mut response = if parts.headers.len() > limits.header_count {
        Problem::header_too_large("The request has too many header fields.").into_response()
    } else {
        match shared.handlers.take([client.ip().into()], 1) {
            Ok(handler) => {
                let mut request = Request::from_parts(parts, Body::new(limited));
                request.extensions_mut().insert(ConnectInfo(client));
                in_time(shared, request, &upload, (place.clone(), handler)).await
            }
            Err(exhausted) => Problem::from(exhausted).into_response(),
        }
    };
    let stalled = upload.has_stalled();
    if stalled && !response.status().is_success() {
        // Replaces the handler's reply: its extractor may not have detected why the body failed.
        response = body::stalled().into_response();
    }
    let mut unsent = shared.unsent.take([client.ip().into()], held_bytes(&response));
    if let (Err(exhausted), true) = (&unsent, is_safe) {
        response = Problem::from(*exhausted).into_response();
        unsent = Err(*exhausted);
    }
    if is_http1 && (stalled || shared.draining.is_cancelled()) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Reply::new(body, open, !is_http1, (place, unsent)))
}

/// How much memory a reply holds until it is sent, in bytes.
fn held_bytes(response: &Response<Body>) -> u64 {
    let whole = response.body().size_hint().exact();
    let part = response.extensions().get().map(|StreamedIn(bytes)| *bytes);
    match (whole, part) {
        (Some(whole), Some(part)) => whole.min(part),
        (whole, part) => whole.or(part).unwrap_or(UNKNOWN_BYTES),
    }
}

/// The router's reply, or 503 if it takes too long after the request's last byte. Keeps `held` until the
/// handler has ended.
///
/// A handler that may have effects runs in a task of its own, so that a disconnect or a timeout does not
/// stop it between two effects. (Its request body ends with the connection.) The handler of a safe
/// method, such as GET, has no effects: it needs no task and ends when its client disconnects.
async fn in_time(
    shared: &Shared,
    request: Request<Body>,
    upload: &Upload,
    held: impl Send + 'static,
) -> Response<Body> {
    let allowed = Duration::from_secs(shared.limits.response_seconds);
    let method = request.method().clone();
    let call = shared.router.clone().oneshot(request);
    let outcome = if method.is_safe() {
        let _held = held;
        let call = pin!(AssertUnwindSafe(call).catch_unwind());
        within(allowed, upload, call)
            .await
            .map(|called| called.map(Some).map_err(|_| "it panicked".to_owned()))
    } else {
        let ended = shared.ended.clone();
        let call = shared.tasks.spawn(async move {
            let _held = held;
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

/// Answers a connection with this problem, without reading its request.
async fn refuse(mut stream: TcpStream, problem: Problem) {
    let json = serde_json::to_string(&problem).unwrap_or_default();
    let reply = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM_JSON}\r\ncache-control: no-store\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{json}",
        problem.status,
        problem.title,
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
