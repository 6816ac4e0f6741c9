//! Web pages beside the API: they are asked for by browsers, so what goes wrong is a page, too.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{ACCEPT, ALLOW, CONTENT_SECURITY_POLICY, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use super::App;
use crate::web::{Problem, fallback, method_not_allowed, panicked, refuse_cross_site};

/// An app's web pages, for [`super::AppBuilder::pages`].
///
/// ```no_run
/// use axum::Router;
/// use axum::http::StatusCode;
/// use axum::response::{Html, IntoResponse, Response};
/// use axum::routing::get;
/// use tripod::access::Viewer;
/// use tripod::web::Problem;
/// use tripod::{App, Asked, Pages};
///
/// async fn home(viewer: Viewer) -> Html<&'static str> {
///     Html(if viewer == Viewer::Anonymous { "<h1>Welcome" } else { "<h1>Welcome back" })
/// }
///
/// fn problem(_: &Asked, problem: Problem) -> Response {
///     let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
///     (status, Html(format!("<h1>{}", problem.title))).into_response()
/// }
///
/// # async fn run() {
/// let routes = Router::new().route("/", get(home));
/// let pages = Pages { routes, files: Router::new(), uploads: Router::new(), problem };
/// App::builder("hello", "1.0.0").pages(pages).run().await;
/// # }
/// ```
pub struct Pages<S = ()> {
    /// The pages and their forms.
    pub routes: Router<App<S>>,
    /// The files that pages load. They are everybody's: no session is looked up for them and no limit
    /// of requests is counted, so that also the page that says so has its style.
    pub files: Router<App<S>>,
    /// Forms that take files, as [`super::AppBuilder::uploads`].
    pub uploads: Router<App<S>>,
    /// The page that says what went wrong, also for addresses where nothing is.
    pub problem: ProblemPage,
}

/// Makes the page that says what went wrong.
pub type ProblemPage = fn(&Asked, Problem) -> Response;

/// What was asked for when something went wrong.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The address, below the host.
    pub uri: Uri,
    /// The header fields.
    pub headers: HeaderMap,
}

impl<S: Send + Sync + 'static> Pages<S> {
    /// The same pages, which refuse what other sites send.
    pub(super) fn guarded(self) -> Self {
        let guarded = |router: Router<App<S>>| router.layer(refuse_cross_site());
        Self { routes: guarded(self.routes), uploads: guarded(self.uploads), ..self }
    }
}

/// Shows problems as pages to browsers; to others they stay problem+json.
pub(super) fn dressed<S: Send + Sync + 'static>(router: Router<App<S>>, page: ProblemPage) -> Router<App<S>> {
    router
        .fallback(fallback)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(page, dress))
        .layer(SetResponseHeaderLayer::if_not_present(
            CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(DEFAULT_POLICY),
        ))
}

/// What a page may load and do unless it says otherwise itself: nothing of other sites, and no scripts or
/// styles written into it, where a stranger's text might be.
const DEFAULT_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

async fn dress(State(page): State<ProblemPage>, request: Request, next: Next) -> Response {
    if !takes_html(request.headers()) {
        return next.run(request).await;
    }
    let (method, uri, headers) = (request.method(), request.uri(), request.headers());
    let asked = Asked { method: method.clone(), uri: uri.clone(), headers: headers.clone() };
    let mut response = next.run(request).await;
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let mut shown = page(&asked, problem);
    for name in [RETRY_AFTER, ALLOW] {
        if let Some(value) = response.headers_mut().remove(&name) {
            shown.headers_mut().insert(name, value);
        }
    }
    shown
}

/// Whether a browser asks for a page: only those name HTML.
fn takes_html(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}
