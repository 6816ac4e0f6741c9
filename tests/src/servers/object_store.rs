//! A real S3 server, in this process and on a temporary directory, that can be made to fail.
//!
//! It has its own threads, so that it responds whatever the test is doing.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpRequest, HttpResponse};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// The bucket that exists from the start.
pub const BUCKET: &str = "photos";
const REGION: &str = "us-east-1";
const ACCESS_KEY: &str = "AKIDOFTHETESTS";
const SECRET_KEY: &str = "secret of the tests";

/// An S3 server. It stops when dropped, and its data is deleted.
pub struct ObjectStore {
    root: TempDir,
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    running: Option<Runtime>,
}

/// What it does instead of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Does nothing and responds with this status, and S3's error code for it.
    Status(u16),
    /// Does nothing and never responds.
    Hang,
    /// Executes the request and closes the connection instead of responding.
    LostReply,
}

/// A request, for choosing which ones fail.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Counted from 1 since the fault was set.
    pub number: usize,
    /// Its method.
    pub method: Method,
    /// Its query, which distinguishes the operations of a method.
    pub query: String,
    /// Whether the request is conditional.
    pub conditional: bool,
    /// Which attempt at the same operation it is, from 1, as Amazon's clients report it.
    pub attempt: usize,
}

type Chosen = Box<dyn Fn(&Asked) -> bool + Send>;

#[derive(Default)]
struct State {
    fault: Option<(Fault, Chosen)>,
    /// Requests since the fault was set or healed.
    requests: usize,
}

impl ObjectStore {
    /// A server with an empty bucket, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If it can't be started.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let root = tempfile::tempdir().expect("a temporary directory");
        let mut store = Self { root, address, state: Arc::default(), running: None };
        store.create_bucket(BUCKET);
        store.run(listener);
        store
    }

    /// The value of `TRIPOD_MEDIA` for its bucket.
    pub fn url(&self) -> String {
        self.url_of(BUCKET)
    }

    /// As [`Self::url`], for another bucket, with an optional prefix after a slash.
    pub fn url_of(&self, bucket: &str) -> String {
        format!("s3://{bucket}?endpoint={}&region={REGION}", self.endpoint())
    }

    /// The server's own address, as `http://…`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The variables for its credentials.
    pub fn variables(&self) -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    }

    /// The value of one of [`Self::variables`]; `None` for any other.
    pub fn variable(&self, name: &str) -> Option<String> {
        self.variables().iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    /// Creates a bucket.
    ///
    /// # Panics
    /// If it can't be created.
    pub fn create_bucket(&self, name: &str) {
        std::fs::create_dir(self.root.path().join(name)).expect("a bucket is a directory");
    }

    /// The directory that contains its buckets.
    pub fn directory(&self) -> &Path {
        self.root.path()
    }

    /// The keys in its bucket, without the store's mark.
    pub fn keys(&self) -> BTreeSet<String> {
        let bucket = self.root.path().join(BUCKET);
        let mut keys = BTreeSet::new();
        collect(&bucket, "", &mut keys);
        keys.retain(|key| !key.ends_with("tripod-store"));
        keys
    }

    /// The number of multipart uploads that are neither completed nor aborted.
    ///
    /// # Panics
    /// If its directory can't be read.
    pub fn open_uploads(&self) -> usize {
        let entries = std::fs::read_dir(self.root.path()).expect("the server's directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
        names.filter(|name| name.starts_with(".upload-")).count()
    }

    /// Requests since the last call to fail or heal it.
    pub fn requests(&self) -> usize {
        self.state().requests
    }

    /// Fails all requests from now on.
    pub fn fail(&self, fault: Fault) {
        self.fail_when(fault, |_| true);
    }

    /// Fails the chosen requests from now on.
    pub fn fail_when(&self, fault: Fault, chosen: impl Fn(&Asked) -> bool + Send + 'static) {
        *self.state() = State { fault: Some((fault, Box::new(chosen))), requests: 0 };
    }

    /// Works again.
    pub fn heal(&self) {
        *self.state() = State::default();
    }

    /// Refuses connections and drops the open ones.
    ///
    /// # Panics
    /// If its threads don't end.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            let end = move || running.shutdown_timeout(Duration::from_secs(10));
            tokio::task::spawn_blocking(end).await.expect("the server ends");
        }
    }

    /// Listens again on the same port, with the same data.
    ///
    /// # Panics
    /// If the port has been taken.
    pub async fn resume(&mut self) {
        self.run(TcpListener::bind(self.address).expect("the port is still free"));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&mut self, listener: TcpListener) {
        let files = FileSystem::new(self.root.path()).expect("the server's directory");
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let (service, state) = (builder.build(), Arc::clone(&self.state));
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime of its own");
        listener.set_nonblocking(true).expect("a listener can be polled");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).expect("a connection");
                let (service, state) = (service.clone(), Arc::clone(&state));
                let answer = service_fn(move |request| answer(service.clone(), Arc::clone(&state), request));
                // An error here is a client that went away, or a reply that is meant to be lost.
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        self.running = Some(runtime);
    }
}

impl Drop for ObjectStore {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }
}

async fn answer(
    service: S3Service,
    state: Arc<Mutex<State>>,
    request: hyper::Request<Incoming>,
) -> Result<HttpResponse, HttpError> {
    let fault = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests += 1;
        let asked = Asked {
            number: state.requests,
            method: request.method().clone(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            conditional: request.headers().contains_key("if-none-match"),
            attempt: attempt(&request).unwrap_or(1),
        };
        state.fault.as_ref().filter(|(_, chosen)| chosen(&asked)).map(|(fault, _)| *fault)
    };
    let request: HttpRequest = request.map(Body::from);
    match fault {
        None => service.call(request).await,
        Some(Fault::Status(status)) => {
            // Read the body first: closing the connection during a body may lose the response.
            let body = axum::body::Body::new(request.into_body());
            axum::body::to_bytes(body, usize::MAX).await.map_err(|error| HttpError::new(error.into()))?;
            Ok(refusal(status))
        }
        Some(Fault::Hang) => {
            let never: Infallible = std::future::pending().await;
            match never {}
        }
        Some(Fault::LostReply) => {
            service.call(request).await?;
            // The connection closes when a service fails.
            Err(HttpError::new("the reply is lost".into()))
        }
    }
}

/// The client's own count: `amz-sdk-request: attempt=2; max=3`.
fn attempt(request: &hyper::Request<Incoming>) -> Option<usize> {
    let header = request.headers().get("amz-sdk-request")?.to_str().ok()?;
    header.split(';').find_map(|part| part.trim().strip_prefix("attempt="))?.parse().ok()
}

fn refusal(status: u16) -> HttpResponse {
    let code = match status {
        403 => "AccessDenied",
        409 => "ConditionalRequestConflict",
        500 => "InternalError",
        501 => "NotImplemented",
        503 => "SlowDown",
        _ => "Unknown",
    };
    let body = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

fn collect(directory: &Path, prefix: &str, keys: &mut BTreeSet<String>) {
    // A directory that was removed meanwhile holds no keys.
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().expect("keys are UTF-8");
        let key = format!("{prefix}{name}");
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{key}/"), keys);
        } else {
            keys.insert(key);
        }
    }
}

impl std::fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectStore").field("address", &self.address).finish_non_exhaustive()
    }
}
