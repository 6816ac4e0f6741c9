//! An app under test: its own router, jobs and tables, in process, with a clock that the test moves.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use sea_orm::ConnectionTrait;
use serde::Serialize;
use serde_json::Value;
use tower::ServiceExt;

use super::Backing;
use crate::app::start::{self, Access, Started};
use crate::app::{App, AppBuilder};
use crate::config::Config;
use crate::db::{Database, statement};
use crate::error::Result;
use crate::id::{Clock, EPOCH_MS};
use crate::queue::Worker;

/// An app under test. Each has its own stores, which are removed with it.
///
/// Jobs run when the test runs them ([`Self::run_jobs`]). A job left at the end fails the test: either
/// the test forgot it, or it waits for something that never comes.
///
/// ```
/// use axum::routing::get;
/// use tripod::App;
/// use tripod::testing::TestApp;
/// use utoipa_axum::router::OpenApiRouter;
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// let hello = App::builder("hello", "1.0.0").routes(OpenApiRouter::new().route("/", get(|| async { "hi" })));
/// let app = TestApp::start(hello).await;
/// assert_eq!(app.client().get("/").await.expect(200).text(), "hi");
/// # });
/// ```
pub struct TestApp<S: Send + Sync + 'static = ()> {
    app: App<S>,
    router: Router,
    worker: Worker<App<S>>,
    clock: Clock,
    backing: Backing,
    databases: Vec<String>,
}

/// The start of a test's clock, in milliseconds since the Unix epoch.
const BEGIN_MS: u64 = EPOCH_MS + 31_536_000_000;

impl<S: Send + Sync + 'static> TestApp<S> {
    /// Starts the app on its own SQLite files and directory, without rate limits.
    ///
    /// # Panics
    /// If it does not start, with the reason.
    pub async fn start(app: AppBuilder<S>) -> Self {
        Self::start_on(app, Backing::embedded()).await
    }

    /// Starts the app on these stores, which are empty or were left by an earlier version of the app.
    ///
    /// # Panics
    /// If it does not start, with the reason.
    pub async fn start_on(app: AppBuilder<S>, backing: Backing) -> Self {
        match Self::try_start(app, backing).await {
            Ok(started) => started,
            Err(error) => panic!("the app does not start: {}", error.chain()),
        }
    }

    async fn try_start(app: AppBuilder<S>, backing: Backing) -> Result<Self> {
        let config = Config::of_environment([
            ("TRIPOD_DATA_DIR", backing.directory().display().to_string()),
            ("TRIPOD_DATABASES", backing.databases().join(",")),
            ("TRIPOD_REDIS", backing.redis().unwrap_or_default().to_owned()),
            ("TRIPOD_LIMITS", "off".to_owned()),
        ])?;
        app.check()?;
        let (clock, databases) = (Clock::manual(BEGIN_MS), config.database_urls());
        start::migrate_all(&app, &config, false).await?;
        let Started { app, router, worker, .. } =
            start::start(app, config, clock.clone(), Access::Serve).await?;
        Ok(Self { app, router, worker, clock, backing, databases })
    }

    /// The app's handle, as passed to handlers and jobs.
    pub fn app(&self) -> &App<S> {
        &self.app
    }

    /// The app's clock, which the test moves. Whatever waits for a time, such as a delayed job, becomes
    /// due then.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A client that is not signed in.
    pub fn client(&self) -> TestClient {
        TestClient { router: self.router.clone(), token: None, headers: HeaderMap::new() }
    }

    /// A client with this session token.
    pub fn signed_in(&self, token: &str) -> TestClient {
        TestClient { token: Some(token.to_owned()), ..self.client() }
    }

    /// Runs the due jobs, and those that they enqueue; returns how many ran. A delayed job becomes due
    /// when the clock reaches its time.
    ///
    /// # Panics
    /// If the databases don't respond, or a job is dead.
    pub async fn run_jobs(&self) -> usize {
        let count = self.worker.run_due().await.unwrap_or_else(|error| panic!("jobs: {}", error.chain()));
        let dead = self.app.queue.dead().await.unwrap_or_else(|error| panic!("jobs: {}", error.chain()));
        assert!(dead.is_empty(), "jobs have failed permanently: {dead:#?}");
        count
    }
}

impl<S: Send + Sync + 'static> Drop for TestApp<S> {
    /// Fails the test if a job is left.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (databases, _held) = (self.databases.clone(), self.backing.clone());
        let settings = self.app.config.database.clone();
        // On its own connections and runtime, because the test's can't be used here.
        let left = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| error.to_string())?.block_on(async {
                let mut left = Vec::new();
                for url in databases {
                    left.extend(jobs(&url, &settings).await.map_err(|error| error.chain())?);
                }
                Ok::<_, String>(left)
            })
        });
        match left.join() {
            Ok(Ok(left)) => assert!(
                left.is_empty(),
                "jobs are left at the end of the test: {left:?}; run_jobs() runs those that are due"
            ),
            failed => panic!("can't check whether jobs are left: {failed:?}"),
        }
    }
}

async fn jobs(url: &str, settings: &crate::config::Database) -> Result<Vec<String>> {
    let database = Database::open(url, settings).await?;
    let reader = database.reader();
    let rows =
        reader.query_all_raw(statement(reader, "SELECT name FROM tripod_job WHERE dead = FALSE", [])).await?;
    Ok(rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?)
}

/// Sends requests to an app under test, without a network.
#[derive(Clone)]
pub struct TestClient {
    router: Router,
    token: Option<String>,
    headers: HeaderMap,
}

impl TestClient {
    /// The same client, with a header on each request, such as an `Idempotency-Key`.
    ///
    /// # Panics
    /// If the header is invalid.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }

    /// The same client, sending the cookies that a reply has set, as a browser does.
    ///
    /// # Panics
    /// If they are not cookies.
    #[must_use]
    pub fn with_cookies(mut self, reply: &TestReply) -> Self {
        let mut cookies: Vec<(String, String)> = Vec::new();
        let pairs =
            |text: &str| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        if let Some(sent) = self.headers.get(header::COOKIE).and_then(|value| value.to_str().ok()) {
            cookies.extend(sent.split("; ").filter_map(pairs));
        }
        for set in reply.headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().ok().and_then(|set| pairs(set.split(';').next()?));
            let (name, value) = set.expect("a cookie that is set has a name and a value");
            cookies.retain(|(known, _)| *known != name);
            cookies.push((name, value));
        }
        let cookies: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        self.headers.insert(header::COOKIE, cookies.join("; ").parse().expect("a header value"));
        self
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> TestReply {
        self.send(Method::GET, path, None, Body::empty()).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, json: &impl Serialize) -> TestReply {
        self.send_json(Method::POST, path, json).await
    }

    /// `PATCH` of JSON.
    pub async fn patch(&self, path: &str, json: &impl Serialize) -> TestReply {
        self.send_json(Method::PATCH, path, json).await
    }

    /// `PUT` of JSON.
    pub async fn put_json(&self, path: &str, json: &impl Serialize) -> TestReply {
        self.send_json(Method::PUT, path, json).await
    }

    /// `PUT` without a body.
    pub async fn put(&self, path: &str) -> TestReply {
        self.send(Method::PUT, path, None, Body::empty()).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> TestReply {
        self.send(Method::DELETE, path, None, Body::empty()).await
    }

    /// `POST` of a page's form, as `application/x-www-form-urlencoded`. Each field has a name and a value.
    pub async fn post_form(&self, path: &str, fields: &[(&str, &str)]) -> TestReply {
        let body = serde_urlencoded::to_string(fields).expect("the fields can be encoded as a form");
        self.send(Method::POST, path, Some("application/x-www-form-urlencoded"), body.into()).await
    }

    /// `POST` of a form with files, as `multipart/form-data`. Each part has a name, a file name if it is a
    /// file, and its bytes.
    pub async fn post_multipart(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> TestReply {
        const BOUNDARY: &str = "the-boundary-between-two-parts";
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            let head =
                format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
        let form = format!("multipart/form-data; boundary={BOUNDARY}");
        self.send(Method::POST, path, Some(&form), body.into()).await
    }

    async fn send_json(&self, method: Method, path: &str, json: &impl Serialize) -> TestReply {
        let body = serde_json::to_vec(json).expect("the body can be serialised as JSON");
        self.send(method, path, Some("application/json"), body.into()).await
    }

    /// Any request.
    ///
    /// # Panics
    /// If the path is invalid, or the reply's body breaks off.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Body,
    ) -> TestReply {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "localhost");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut request = request.body(body).unwrap_or_else(|error| panic!("{path}: {error}"));
        request.headers_mut().extend(self.headers.clone());
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 40_000))));
        let reply = self.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
        let (parts, body) = reply.into_parts();
        let body = body.collect().await.expect("a whole reply").to_bytes();
        TestReply { status: parts.status, headers: parts.headers, body: body.to_vec() }
    }
}

/// A reply.
#[derive(Clone, Debug)]
pub struct TestReply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

impl TestReply {
    /// The reply, after checking its status.
    ///
    /// # Panics
    /// If the status differs; the message contains the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    /// The body as JSON; null if it is empty.
    ///
    /// # Panics
    /// If it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A small photo to upload: 64 x 48 pixels, as a PNG.
///
/// # Panics
/// Never: it can be drawn.
pub fn sample_photo() -> Vec<u8> {
    let photo = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 4, y as u8 * 5, 120]));
    let mut png = std::io::Cursor::new(Vec::new());
    photo.write_to(&mut png, image::ImageFormat::Png).expect("it can be drawn");
    png.into_inner()
}

/// How far a test moves its clock to pass every delay, such as that of an abandoned upload.
pub const LONG: Duration = Duration::from_secs(48 * 3_600);
