//! Protection against cross-site request forgery: a request that another site triggers carries the
//! browser's cookies, so an unsafe request must come from one of our own pages.
//!
//! Browsers state a request's origin: `Sec-Fetch-Site` to trustworthy addresses, and `Origin` with every
//! unsafe request. Scripts can't forge either, so no form tokens and no server state are needed. The
//! rule is the one of Go's `http.CrossOriginProtection` (<https://words.filippo.io/csrf>), but stricter
//! for cookies on the API.
//!
//! Without `Sec-Fetch-Site`, the origin is compared with `Host`, which a proxy may have replaced by the name
//! of its upstream: nginx does by default. The setting `public_url` says what it was.

use axum::extract::{Request, State};
use axum::http::header::ORIGIN;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt};
use tower_http::csrf::{CsrfLayer, ProtectionError};

use super::Problem;
use super::auth::ByCookie;
use crate::error::{Error, Result};

/// The layer returned by [`refuse_cross_site`].
pub type RefuseCrossSite = CsrfLayer<fn(ProtectionError) -> Response>;

/// A layer for pages: refuses unsafe requests from other sites. That includes requests without a
/// session, such as a forged log-in to the attacker's account. `public_url` is the setting: the service's
/// own origin, whatever `Host` says, or empty.
///
/// # Errors
/// Configuration, if `public_url` is no URL.
pub fn refuse_cross_site(public_url: &str) -> Result<RefuseCrossSite> {
    let refuse: fn(ProtectionError) -> Response = |_| refusal();
    let mut layer = CsrfLayer::new();
    if let Some((scheme, rest)) = public_url.split_once("://") {
        let host = rest.split('/').next().unwrap_or_default().to_lowercase();
        // Browsers leave out a scheme's own port.
        let port = if scheme == "https" { ":443" } else { ":80" };
        let origin = format!("{scheme}://{}", host.strip_suffix(port).unwrap_or(&host));
        layer = layer.add_trusted_origin(&origin).map_err(|error| {
            Error::configuration(format!("public_url has the origin \"{origin}\", which is none"))
                .because(error)
        })?;
    }
    Ok(layer.with_rejection_response(refuse))
}

fn refusal() -> Response {
    Problem::forbidden("This request did not come from one of this service's own pages.").into_response()
}

/// Middleware for an API: an unsafe request whose session comes from a cookie must prove that one of our
/// own pages sent it. A bearer token is proof in itself, as browsers never add one. For
/// `axum::middleware::from_fn_with_state`, with the layer of the pages.
pub async fn refuse_unproven(
    State(cross_site): State<RefuseCrossSite>,
    request: Request,
    next: Next,
) -> Response {
    if request.extensions().get::<ByCookie>().is_none() {
        return next.run(request).await;
    }
    // The layer accepts requests with neither header. Current browsers always send one, and only
    // browsers should use a cookie.
    if is_unsafe(&request) && is_silent(request.headers()) {
        return refusal();
    }
    let guarded = cross_site.layer(next);
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
    use axum::middleware::from_fn_with_state;
    use axum::{Router, routing::any};
    use tower::ServiceExt;

    async fn statuses(method: &str, headers: &[(&str, &str)], by_cookie: bool) -> (u16, u16) {
        statuses_at("", method, headers, by_cookie).await
    }

    async fn statuses_at(
        public_url: &str,
        method: &str,
        headers: &[(&str, &str)],
        by_cookie: bool,
    ) -> (u16, u16) {
        let cross_site = refuse_cross_site(public_url).unwrap();
        let unproven = from_fn_with_state(cross_site.clone(), refuse_unproven);
        let router: Router = Router::new()
            .route("/page", any(|| async {}).layer(cross_site))
            .route("/api", any(|| async {}).layer(unproven));
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
    async fn behind_a_proxy_that_replaces_the_host_the_public_url_is_our_own() {
        let proxied = |origin| [("host", "upstream"), ("origin", origin)];
        for public_url in ["https://a.example", "https://A.example:443", "https://a.example/photos"] {
            let own = statuses_at(public_url, "POST", &proxied("https://a.example"), true).await;
            assert_eq!(own, (200, 200), "{public_url}");
            for other in ["https://b.example", "http://a.example", "https://a.example:444", "null"] {
                let forged = statuses_at(public_url, "POST", &proxied(other), true).await;
                assert_eq!(forged, (403, 403), "{other}");
            }
        }
        assert_eq!(statuses("POST", &proxied("https://a.example"), true).await, (403, 403));
        assert!(refuse_cross_site("https://").unwrap_err().is_configuration());
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
