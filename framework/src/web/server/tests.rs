//! Tests of the server over real sockets. Limits are seconds long, and tests wait for events.

mod clients;
mod http2;
mod replies;
mod slow;

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::web::body::BodyBytes;

/// A server that stops on request, or with its test.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<()>>,
    begun: Arc<Notify>,
    finish: Arc<Notify>,
    /// How many handlers of `/hang` were called.
    hanging: Arc<AtomicUsize>,
}

fn short() -> Limits {
    Limits {
        header_seconds: 1,
        body_grace_seconds: 1,
        response_seconds: 2,
        write_seconds: 1,
        drain_seconds: 5,
        ..Limits::default()
    }
}

async fn start(limits: Limits) -> Running {
    start_behind(TrustedProxies::default(), limits).await
}

async fn start_behind(proxies: TrustedProxies, limits: Limits) -> Running {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (begun.clone(), finish.clone());
    let hanging = Arc::new(AtomicUsize::new(0));
    let count = hanging.clone();
    let hang = async move || {
        count.fetch_add(1, Ordering::Relaxed);
        pending::<()>().await
    };
    let router: Router = Router::new()
        .route("/", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .route("/body", post(async |BodyBytes(body): BodyBytes| body.len().to_string()))
        .route("/deaf", post(async || "never asked"))
        .route("/large", get(async || Body::from(vec![b'x'; 32 << 20])))
        .route("/hang", get(hang.clone()).post(hang))
        .route("/events", get(async || Body::from_stream(futures::stream::pending::<io::Result<Vec<u8>>>())))
        .route(
            "/slow",
            get(async move || {
                tell.notify_one();
                wait.notified().await;
                "done"
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move { stopped.await.unwrap_or(()) };
    let task = tokio::spawn(serve(listener, router, limits, proxies, shutdown));
    Running { address, stop: Some(stop), task, begun, finish, hanging }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends this on a new connection, and reads until the server closes it.
    async fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        stream.write_all(request.as_ref()).await.unwrap();
        rest(&mut stream).await
    }

    async fn get(&self) -> String {
        self.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await
    }
}

/// Everything up to the end of the connection; "reset" is appended if it was reset.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if end.is_err() { text + "reset" } else { text }
}

fn assert_about(took: Duration, seconds: f32) {
    let took = took.as_secs_f32();
    assert!(took > seconds * 0.9 && took < seconds * 1.6 + 1.0, "{took} s, not about {seconds}");
}
