//! What every request's head must say, whatever the route.

use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HOST};
use axum::http::{HeaderValue, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Problem;

/// Middleware: refuses a request without a host, or with several, because proxies and servers could disagree
/// which one it is for (RFC 9112, section 3.2), and one whose body has a content coding, because the body
/// would be read as it is.
pub async fn check_head(request: Request, next: Next) -> Response {
    match refusal(&request) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    }
}

fn refusal(request: &Request) -> Option<Response> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().count();
    // HTTP/2 has its own field for it, and HTTP/1.0 knew none.
    let may_be_missing = request.uri().authority().is_some() || request.version() < Version::HTTP_11;
    if hosts > 1 || (hosts == 0 && !may_be_missing) {
        return Some(Problem::malformed("The header Host must be sent once.").into_response());
    }
    let is_coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(is_coded) {
        let problem = Problem::unsupported("The body must be sent without a Content-Encoding.");
        return Some(([(ACCEPT_ENCODING, "identity")], problem).into_response());
    }
    None
}
