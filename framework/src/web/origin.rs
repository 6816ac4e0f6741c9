//! Protection against cross-site request forgery: a request that another site triggers carries the
//! browser's cookies, so an unsafe request must come from one of our own pages.
//!
//! Browsers state a request's origin: `Sec-Fetch-Site` to trustworthy addresses, and `Origin` with every
//! unsafe request. Scripts can't forge either, so no form tokens and no server state are needed. The
//! rule is the one of Go's `http.CrossOriginProtection` (<https://words.filippo.io/csrf>), but stricter
//! for cookies on the API.

use axum::extract::Request;
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::Problem;
use super::auth::ByCookie;

/// The layer returned by [`refuse_cross_site`].
pub type RefuseCrossSite = CsrfLayer<fn(ProtectionError) -> Response>;

/// A layer for pages: refuses unsafe requests from other sites. That includes requests without a
/// session, such as a forged log-in to the attacker's account.
pub fn refuse_cross_site() -> RefuseCrossSite {
    CsrfLayer::new().with_rejection_response(|_| refusal())
}

fn refusal() -> Response {
    Problem::forbidden("This request did not come from one of this service's own pages.").into_response()
}

/// Middleware for an API: an unsafe request whose session comes from a cookie must prove that one of our
/// own pages sent it. A bearer token is proof in itself, as browsers never add one.
pub async fn refuse_unproven(request: Request, next: Next) -> Response {
    if request.extensions().get::<ByCookie>().is_none() {
        return next.run(request).await;
    }
    // The layer accepts requests with neither header. Current browsers always send one, and only
    // browsers should use a cookie.
    if is_unsafe(&request) && is_silent(request.headers()) {
        return refusal();
    }
    let guarded = refuse_cross_site().layer(next);
    let Ok(response) = guarded.oneshot(request).await;
    response
}

fn is_unsafe(request: &Request) -> bool {
    !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether no header states the request's origin.
fn is_silent(headers: &HeaderMap) -> bool {
    let says = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
    !says("sec-fetch-site") && !says(ORIGIN.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::{Router, routing::any};
    use tower::ServiceExt;

    async fn statuses(method: &str, headers: &[(&str, &str)], by_cookie: bool) -> (u16, u16) {
        let router: Router = Router::new()
            .route("/page", any(|| async {}).layer(refuse_cross_site()))
            .route("/api", any(|| async {}).layer(from_fn(refuse_unproven)));
        let ask = async |path: &str| {
            let mut request = axum::http::Request::builder().method(method).uri(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::empty()).unwrap();
            if by_cookie {
                request.extensions_mut().insert(ByCookie);
            }
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        (ask("/page").await, ask("/api").await)
    }

    #[tokio::test]
    async fn what_another_site_sends_is_refused() {
        for forged in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "same-site"), ("host", "a.example"), ("origin", "https://a.example")],
            &[("origin", "https://b.example"), ("host", "a.example")],
            &[("origin", "https://a.example:444"), ("host", "a.example")],
            &[("origin", "null"), ("host", "null")],
            &[("origin", "https://b.example")],
        ] {
            assert_eq!(statuses("POST", forged, true).await, (403, 403), "{forged:?}");
            assert_eq!(statuses("POST", forged, false).await, (403, 200), "{forged:?} without a cookie");
            assert_eq!(statuses("GET", forged, true).await, (200, 200), "{forged:?}");
        }
    }

    #[tokio::test]
    async fn our_own_pages_pass_and_silence_is_no_proof() {
        for own in [
            &[("sec-fetch-site", "same-origin")][..],
            &[("origin", "http://127.0.0.1:3000"), ("host", "127.0.0.1:3000")],
        ] {
            assert_eq!(statuses("DELETE", own, true).await, (200, 200), "{own:?}");
        }
        assert_eq!(statuses("POST", &[("host", "a.example")], true).await, (200, 403));
        assert_eq!(statuses("POST", &[("host", "a.example")], false).await, (200, 200));
        let empty = [("host", "a.example"), ("origin", ""), ("sec-fetch-site", "")];
        assert_eq!(statuses("POST", &empty, true).await, (200, 403));
    }
}
