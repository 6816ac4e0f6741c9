//! Web pages beside the API. Browsers request them, so errors are pages too.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::context::App;
use crate::web::{Problem, RefuseCrossSite, method_not_allowed, panicked};

/// An app's web pages, for [`super::AppBuilder::pages`].
///
/// ```no_run
/// use axum::Router;
/// use axum::response::Html;
/// use axum::routing::get;
/// use tripod::access::Viewer;
/// use tripod::{App, WebPages};
///
/// async fn home(viewer: Viewer) -> Html<&'static str> {
///     Html(if viewer == Viewer::Anonymous { "<h1>Welcome" } else { "<h1>Welcome back" })
/// }
///
/// # async fn run() {
/// let routes = Router::new().route("/", get(home));
/// let pages = WebPages { routes, ..WebPages::default() };
/// App::builder("hello", "1.0.0").pages(pages).run().await;
/// # }
/// ```
pub struct WebPages<S = ()> {
    /// The pages and their forms.
    pub routes: Router<App<S>>,
    /// The files that pages load. They are public: no session is looked up and no rate limit applies, so
    /// that even the page about a rate limit has its style.
    pub files: Router<App<S>>,
    /// Forms that take files, as [`super::AppBuilder::uploads`].
    pub uploads: Router<App<S>>,
    /// The page that reports an error, including unknown addresses. By default a plain one.
    pub problem: RenderProblem,
}

impl<S: Send + Sync + 'static> Default for WebPages<S> {
    fn default() -> Self {
        Self { routes: Router::new(), files: Router::new(), uploads: Router::new(), problem: plain_problem }
    }
}

/// A page with the problem's title and detail, and a link to the start page.
fn plain_problem(_: &RequestHead, problem: Problem) -> Response {
    let (title, detail) = (escaped(&problem.title), escaped(&problem.detail));
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<h1>{title}</h1>\n<p>{detail}</p>\n<p><a href=\"/\">Start</a></p>\n</html>\n"
    );
    (problem.status_code(), Html(page)).into_response()
}

/// Escapes text for HTML: a problem may contain text from the request.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Renders a problem as a page.
pub type RenderProblem = fn(&RequestHead, Problem) -> Response;

/// The head of the request that failed.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The path and query.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
}

impl<S: Send + Sync + 'static> WebPages<S> {
    /// The same pages behind a layer that refuses cross-site requests.
    pub(super) fn guarded(self, cross_site: &RefuseCrossSite) -> Self {
        let guarded = |router: Router<App<S>>| router.layer(cross_site.clone());
        Self { routes: guarded(self.routes), uploads: guarded(self.uploads), ..self }
    }
}

/// Shows problems as pages to browsers; other clients get problem+json.
pub(super) fn with_problem_pages<S: Send + Sync + 'static>(
    router: Router<App<S>>,
    render: RenderProblem,
) -> Router<App<S>> {
    router
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(render, render_problem))
        .layer(SetResponseHeaderLayer::if_not_present(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(DEFAULT_POLICY),
        ))
}

/// The default content security policy of pages: nothing from other sites, and no inline scripts or
/// styles, where user text might be injected.
const DEFAULT_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

async fn render_problem(State(render): State<RenderProblem>, request: Request, next: Next) -> Response {
    if !takes_html(request.headers()) {
        return next.run(request).await;
    }
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let head = RequestHead { method: method.clone(), uri: uri.clone(), headers: headers.clone() };
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut page = render(&head, problem);
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = response.headers_mut().remove(&name) {
            page.headers_mut().insert(name, value);
        }
    }
    page
}

/// Whether a browser requests a page: only browsers accept `text/html` explicitly.
fn takes_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    #[tokio::test]
    async fn a_plain_problem_page_escapes_what_was_sent() {
        let request =
            RequestHead { method: Method::GET, uri: Uri::from_static("/"), headers: HeaderMap::new() };
        let shown = plain_problem(&request, Problem::absent("<script>\"&\"</script>"));
        assert_eq!(shown.status(), 404);
        assert_eq!(shown.headers()["content-type"], "text/html; charset=utf-8");
        let html = shown.into_body().collect().await.unwrap().to_bytes();
        let html = String::from_utf8(html.to_vec()).unwrap();
        assert!(html.contains("<h1>Not Found</h1>"), "{html}");
        assert!(html.contains("&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;"), "{html}");
    }
}
