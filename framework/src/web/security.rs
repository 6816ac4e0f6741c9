//! Headers that every reply carries, and one log line per request.
//!
//! The line never contains a path as sent, a query string or a header: those carry tokens and names. A
//! request id from the client is ignored, so that clients can't write into the log.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// The header with the request id.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers that replies have unless the handler sets them.
const DEFAULTS: [(HeaderName, &str); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Not `no-referrer`: with it browsers send `Origin: null` from our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The random id of a request: in its extensions, its log lines and its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

/// The middleware, for `axum::middleware::from_fn`. Make it the outermost layer, so that it covers every
/// reply.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let id = format!("{:032x}", rand::random::<u128>());
    request.headers_mut().remove(X_REQUEST_ID);
    request.extensions_mut().insert(RequestId(id.clone()));
    let span = tracing::info_span!("request", id);
    let mut log = RequestLog::begin(&request, id.clone());
    let mut response = next.run(request).instrument(span).await;
    log.status = Some(response.status());
    set_headers(response.headers_mut(), &id);
    response
}

fn set_headers(headers: &mut HeaderMap, id: &str) {
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, value);
    }
}

/// Writes the log line when dropped, so that requests that time out or whose client disconnects are
/// logged too.
struct RequestLog {
    started: Instant,
    method: String,
    path: Option<MatchedPath>,
    id: String,
    status: Option<StatusCode>,
}

impl RequestLog {
    fn begin(request: &Request, id: String) -> Self {
        let method = request.method().as_str();
        // A method may parse with any name and length; ours have at most seven letters.
        let method = if method.len() <= 7 { method } else { "other" }.to_owned();
        let path = request.extensions().get().cloned();
        Self { started: Instant::now(), method, path, id, status: None }
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        tracing::info!(
            method = self.method,
            path = self.path.as_ref().map_or("unmatched", MatchedPath::as_str),
            // 499, as in nginx: the request ended before there was a reply.
            status = self.status.map_or(499, |status| status.as_u16()),
            ms = self.started.elapsed().as_millis() as u64,
            id = self.id,
            "request"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tower::ServiceExt;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    async fn ask(router: &Router, path: &str) -> Response {
        let request = Request::builder().uri(path).header(X_REQUEST_ID, "forged");
        router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn every_reply_has_the_headers_and_one_line_without_what_was_sent() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let _guard = tracing::subscriber::set_default(subscriber);
        let own = |headers: HeaderMap| async move {
            assert!(!headers.contains_key(X_REQUEST_ID), "a request id from outside was accepted");
            [(header::REFERRER_POLICY, "no-referrer")]
        };
        let router: Router = Router::new().route("/things/{id}", get(own)).layer(from_fn(observe));

        let response = ask(&router, "/things/secret1?token=secret2").await;
        let id = response.headers()[X_REQUEST_ID].to_str().unwrap().to_owned();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[header::REFERRER_POLICY], "no-referrer");
        let response = ask(&router, "/secret3").await;
        assert_eq!(response.headers()[header::REFERRER_POLICY], "same-origin");
        assert_ne!(response.headers()[X_REQUEST_ID].to_str().unwrap(), id);

        let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(log.contains("/things/{id}") && log.contains(&id) && log.contains("\"status\":200"), "{log}");
        assert!(log.contains("unmatched") && log.contains("\"status\":404"), "{log}");
        assert!(!log.contains("secret") && !log.contains("forged"), "{log}");
    }
}
