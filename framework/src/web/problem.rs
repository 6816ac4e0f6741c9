//! RFC 9457 problem details: the one format of all error replies, and the one place where a
//! [`crate::Error`] becomes a status code. The cause of a 5xx is logged here and never sent.

use std::any::Any;
use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, FieldError, shortened};

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// `Retry-After` in seconds for a request that was refused because a store is unavailable.
const RETRY_SECONDS: u64 = 1;

/// The maximum length of a problem's detail, in bytes; the rest is cut off.
const DETAIL_BYTES: usize = 1_000;

/// An error reply: a status, and sentences for people.
///
/// Handlers return `Result<_, Problem>`; `?` turns a [`crate::Error`] into one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(description = "An error response: what went wrong, as a status and in sentences for people.")]
pub struct Problem {
    /// A URI that identifies the kind of problem; `about:blank` if the status is enough.
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The reason phrase of the status.
    pub title: Cow<'static, str>,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What happened, and how to fix it, in a sentence.
    pub detail: String,
    /// What is wrong with each field of the input; absent if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_seconds: Option<u64>,
}

impl Problem {
    /// A problem of any status from 400 to 599.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: Cow::Borrowed("about:blank"),
            title: Cow::Borrowed(status.canonical_reason().unwrap_or("Error")),
            status: status.as_u16(),
            // It may contain what the client sent.
            detail: shortened(detail.into(), DETAIL_BYTES),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// 400: the request cannot be parsed.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no credentials, or invalid ones. Carries `WWW-Authenticate: Bearer`.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: authenticated, but not allowed.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: absent, or not visible to the viewer.
    pub fn absent(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the path exists, but not for this method.
    pub fn method_not_allowed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    /// 408: the request did not arrive in time.
    pub fn timed_out(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// 409: the request conflicts with stored data.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413: the body is larger than this route allows.
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: this route does not accept the body's type.
    pub fn unsupported(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 431: the request's header fields are too large or too many.
    pub fn header_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, detail)
    }

    /// 422: one field is invalid.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid_fields(vec![FieldError::new(field, detail)])
    }

    /// 422: several fields are invalid.
    pub fn invalid_fields(errors: Vec<FieldError>) -> Self {
        let sentences: Vec<String> = errors
            .iter()
            .map(|error| format!("{} {}", error.field, error.detail).trim().to_owned())
            .collect();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, sentences.join("; "));
        problem.errors = errors;
        problem
    }

    /// 429: the client has used up its limit; it may retry after `retry_after_seconds`.
    pub fn too_many(retry_after_seconds: u64) -> Self {
        let detail = format!("Too many requests; try again in {retry_after_seconds} s.");
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after_seconds)
    }

    /// 429: the client makes the process hold all that one client may; it may retry after
    /// `retry_after_seconds`, or once its other requests are answered.
    pub fn too_many_at_once(retry_after_seconds: u64) -> Self {
        let detail = format!(
            "Your account or network has too much open at once; let it finish, or try again in {retry_after_seconds} s."
        );
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after_seconds)
    }

    /// 503: too much to do now; retry after `retry_after_seconds`.
    pub fn unavailable(retry_after_seconds: u64) -> Self {
        let detail = format!("The service is busy; try again in {retry_after_seconds} s.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after_seconds)
    }

    /// 503: something that this needs is down; retry after `retry_after_seconds`.
    pub fn down(retry_after_seconds: u64) -> Self {
        let detail =
            format!("Part of the service is down for the moment; try again in {retry_after_seconds} s.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(retry_after_seconds)
    }

    /// 500: an internal fault. It takes no detail, so that none can leak.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side.")
    }

    /// The status as a `StatusCode`.
    pub fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The same problem with another `type`, if clients need more than the status to tell it apart.
    #[must_use]
    pub fn of_kind(mut self, uri: &'static str) -> Self {
        self.kind = Cow::Borrowed(uri);
        self
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status_code();
        // A struct of strings and a number cannot fail to serialise.
        let json = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(json));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For code that renders the problem in another format, such as a page.
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        type Make = fn(String) -> Problem;
        let refusals: [(bool, Make); 5] = [
            (error.is_unsupported(), Self::unsupported),
            (error.is_unauthenticated(), Self::unauthenticated),
            (error.is_forbidden(), Self::forbidden),
            (error.is_absent(), Self::absent),
            (error.is_conflict(), Self::conflict),
        ];
        if let Some((_, make)) = refusals.into_iter().find(|(is_it, _)| *is_it) {
            return Self { errors: error.fields().to_vec(), ..make(error.to_string()) };
        }
        if error.is_invalid() {
            let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
            problem.errors = error.fields().to_vec();
            return problem;
        }
        if error.is_limited() {
            return Self::too_many(error.retry_after_seconds().unwrap_or(RETRY_SECONDS));
        }
        if error.is_overloaded() {
            return Self::unavailable(RETRY_SECONDS);
        }
        if error.is_unconfirmed() {
            tracing::warn!(error = error.chain(), "a write was not confirmed");
            let mut problem = Self::unavailable(RETRY_SECONDS);
            problem.detail = "It is not known whether this was done: look before you try again.".to_owned();
            return problem;
        }
        if error.is_unavailable() {
            tracing::warn!(error = error.chain(), "a store is unavailable");
            return Self::down(RETRY_SECONDS);
        }
        tracing::error!(error = error.chain(), "a request failed");
        Self::internal()
    }
}

/// The reply for unknown paths: pass it to `Router::fallback`.
pub async fn fallback() -> Problem {
    Problem::absent("There is nothing at this address.")
}

/// The reply for methods that a route lacks: pass it to `Router::method_not_allowed_fallback`.
pub async fn method_not_allowed() -> Problem {
    Problem::method_not_allowed("This address does not take this method; `Allow` lists those it does.")
}

/// The reply to a handler's panic: pass it to `tower_http`'s `CatchPanicLayer::custom`.
pub fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&'static str>().copied())
        .unwrap_or("no message");
    tracing::error!(panic = said, "a handler panicked");
    Problem::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{Router, routing::get};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use tower_http::catch_panic::CatchPanicLayer;

    async fn read(response: Response) -> (axum::http::response::Parts, Value) {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(parts.headers["content-type"], PROBLEM_JSON);
        assert_eq!(parts.headers["cache-control"], "no-store");
        (parts, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_is_the_json_of_rfc_9457() {
        let (parts, body) = read(Problem::invalid("caption", "is too long").into_response()).await;
        assert_eq!(parts.status, 422);
        let errors = json!([{"field": "caption", "detail": "is too long"}]);
        let whole = json!({"type": "about:blank", "title": "Unprocessable Entity", "status": 422,
            "detail": "caption is too long", "errors": errors});
        assert_eq!(body, whole);
        let (_, body) = read(Problem::absent("gone").into_response()).await;
        assert!(body.get("errors").is_none());
    }

    #[tokio::test]
    async fn refusals_say_what_to_do_next() {
        let (parts, _) = read(Problem::unauthenticated("Sign in.").into_response()).await;
        assert_eq!(parts.headers["www-authenticate"], "Bearer");
        for problem in [Problem::too_many(7), Problem::unavailable(7)] {
            assert_eq!(read(problem.into_response()).await.0.headers["retry-after"], "7");
        }
    }

    #[tokio::test]
    async fn each_kind_of_error_has_its_status_and_no_fault_of_ours_leaks() {
        let made: [(Error, u16); 10] = [
            (Error::invalid("secret"), 422),
            (Error::unsupported("secret"), 415),
            (Error::unauthenticated("secret"), 401),
            (Error::forbidden("secret"), 403),
            (Error::absent("secret"), 404),
            (Error::conflict("secret"), 409),
            (Error::unavailable("secret"), 503),
            (Error::overloaded("secret"), 503),
            (Error::configuration("secret"), 500),
            (Error::internal("secret"), 500),
        ];
        for (error, status) in made {
            let error = error.because(std::io::Error::other("cause"));
            let (parts, body) = read(Problem::from(error).into_response()).await;
            assert_eq!(parts.status, status);
            assert_eq!(body["detail"].as_str().unwrap().contains("secret"), status < 500, "{body}");
            assert!(!body.to_string().contains("cause"), "{body}");
            assert_eq!(parts.headers.contains_key("retry-after"), status == 503);
        }
    }

    #[tokio::test]
    async fn a_router_answers_with_problems_where_no_handler_can() {
        async fn boom() {
            panic!("secret")
        }
        let router: Router = Router::new()
            .route("/boom", get(boom))
            .fallback(fallback)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(CatchPanicLayer::custom(panicked));
        for (method, path, status) in [("GET", "/boom", 500), ("GET", "/none", 404), ("POST", "/boom", 405)] {
            let request = axum::http::Request::builder().method(method).uri(path);
            let request = request.body(Body::empty()).unwrap();
            let (parts, body) = read(router.clone().oneshot(request).await.unwrap()).await;
            assert_eq!(parts.status, status);
            assert!(!body.to_string().contains("secret"));
            assert_eq!(parts.headers.contains_key("allow"), status == 405);
        }
    }
}
