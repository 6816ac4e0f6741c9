//! The router of an app: the app's own routes, the routes that every app has, and the layers around
//! them.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::handler::Handler;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{HeaderMap, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

use super::context::App;
use super::openapi;
use super::pages::{WebPages, with_problem_pages};
use super::readiness::Readiness;
use crate::error::{Error, Result};
use crate::media::MediaKey;
use crate::telemetry::Metrics;
use crate::web::body::Spool;
use crate::web::{
    IDEMPOTENCY_KEY, Path, Problem, authenticate, body, check_head, fallback, limit_public,
    method_not_allowed, observe, panicked, refuse_cross_site, refuse_unproven, stored_file,
};

/// The parts of an app that its router consists of.
pub(super) struct Parts<S> {
    pub(super) about: openapi::About,
    pub(super) routes: OpenApiRouter<App<S>>,
    pub(super) uploads: OpenApiRouter<App<S>>,
    pub(super) pages: Option<WebPages<S>>,
}

pub(super) fn router<S: Send + Sync + 'static>(parts: Parts<S>, app: App<S>) -> Result<Router> {
    let spool = Spool::of(&app.config);
    let large = |router: Router<App<S>>| {
        router
            .layer(from_fn_with_state(spool.clone(), body::spooled))
            .layer(body::limit(body::UPLOAD_LIMIT_BYTES))
    };
    let (routes, document) = parts.routes.split_for_parts();
    let (uploads, more) = parts.uploads.split_for_parts();
    let document = openapi::finish(document.merge_from(more), parts.about);
    let api = routes.merge(large(uploads));
    let known = |router: Router<App<S>>| router.layer(from_fn_with_state(app.clone(), authenticate));
    let limited = |router: Router<App<S>>| router.layer(from_fn_with_state(app.limits.clone(), limit_public));
    let unknown = fallback.layer(from_fn_with_state(app.limits.clone(), limit_public));
    let cross_site = refuse_cross_site(&app.config.public_url)?;
    let mut all = known(api.layer(from_fn_with_state(cross_site.clone(), refuse_unproven)));
    if let Some(cors) = cors(&app.config.http.cors_origins)? {
        all = all.layer(cors);
    }
    if let Some(pages) = parts.pages {
        let WebPages { routes, files, uploads, problem } = pages.guarded(&cross_site);
        let pages = known(routes.merge(large(uploads))).merge(files).fallback(unknown);
        all = all.merge(with_problem_pages(pages, problem));
    } else {
        all = all.fallback(unknown);
    }
    let readiness = Readiness::default();
    let public = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(async move |State(app): State<App<S>>| readiness.of(&app).await))
        .route("/metrics", get(metrics::<S>))
        .merge(openapi::pages(document)?);
    let compressed =
        all.merge(limited(public)).layer(CompressionLayer::new().quality(CompressionLevel::Fastest));
    let router = compressed
        // Pictures are compressed, and a compressed file would have no ranges.
        .merge(limited(Router::new().route("/media/{key}", get(media::<S>))))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(body::limit(body::DEFAULT_LIMIT_BYTES))
        .layer(from_fn(check_head))
        .layer(from_fn(observe))
        .with_state(app);
    Ok(router)
}

/// Allows scripts of these other origins to call the API. No credentials: they send a bearer token, not
/// a cookie.
fn cors(origins: &[String]) -> Result<Option<CorsLayer>> {
    let origins = origins.iter().map(|origin| {
        HeaderValue::from_str(origin)
            .map_err(|error| Error::configuration(format!("http.cors_origins has {origin:?}")).because(error))
    });
    let origins: Vec<HeaderValue> = origins.collect::<Result<_>>()?;
    if origins.is_empty() {
        return Ok(None);
    }
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static(IDEMPOTENCY_KEY)])
        .expose_headers([RETRY_AFTER])
        .max_age(Duration::from_secs(3_600));
    Ok(Some(cors))
}

/// The metrics of this process for Prometheus: counts and sizes, no personal data.
async fn metrics<S>(State(app): State<App<S>>) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], app.metrics.text()?).into_response())
}

async fn media<S>(
    State(app): State<App<S>>,
    Path(key): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = MediaKey::parse(&key).map_err(|_| Problem::absent("There is no such file."))?;
    stored_file(&app.media, key, &headers).await
}
