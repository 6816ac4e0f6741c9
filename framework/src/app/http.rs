//! The router of an app: the app's own routes, the routes that every app has, and the layers around
//! them.

use std::time::Duration;

use axum::extract::State;
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
};
use axum::http::{HeaderMap, Method};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use utoipa_axum::router::OpenApiRouter;

use super::context::App;
use super::openapi;
use super::pages::{WebPages, with_problem_pages};
use crate::error::{Error, Result};
use crate::media::MediaKey;
use crate::telemetry::Metrics;
use crate::web::body::UploadBudget;
use crate::web::{
    IDEMPOTENCY_KEY, Path, Problem, authenticate, body, check_head, fallback, method_not_allowed, observe,
    panicked, refuse_cross_site, refuse_unproven,
};

/// The parts of an app that its router consists of.
pub(super) struct Parts<S> {
    pub(super) about: openapi::About,
    pub(super) routes: OpenApiRouter<App<S>>,
    pub(super) uploads: OpenApiRouter<App<S>>,
    pub(super) pages: Option<WebPages<S>>,
}

pub(super) fn router<S: Send + Sync + 'static>(parts: Parts<S>, app: App<S>) -> Result<Router> {
    let budget = UploadBudget::default();
    let large = |router: Router<App<S>>| {
        router
            .layer(from_fn_with_state(budget.clone(), body::budgeted))
            .layer(body::limit(body::UPLOAD_LIMIT_BYTES))
    };
    let (routes, document) = parts.routes.split_for_parts();
    let (uploads, more) = parts.uploads.split_for_parts();
    let document = openapi::finish(document.merge_from(more), parts.about);
    let api = routes.merge(large(uploads));
    let known = |router: Router<App<S>>| router.layer(from_fn_with_state(app.clone(), authenticate));
    let cross_site = refuse_cross_site(&app.config.public_url)?;
    let mut all = known(api.layer(from_fn_with_state(cross_site.clone(), refuse_unproven)));
    if let Some(cors) = cors(&app.config.http.cors_origins)? {
        all = all.layer(cors);
    }
    if let Some(pages) = parts.pages {
        let WebPages { routes, files, uploads, problem } = pages.guarded(&cross_site);
        all = all.merge(with_problem_pages(known(routes.merge(large(uploads))).merge(files), problem));
    } else {
        all = all.fallback(fallback);
    }
    let router = Router::new()
        .merge(all)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready::<S>))
        .route("/metrics", get(metrics::<S>))
        .route("/media/{key}", get(media::<S>))
        .merge(openapi::pages(document)?)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
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

/// Whether requests can be served: the media store and at least one database must be available. A
/// database that is down is named, but the process stays ready while others work. Redis is reported and
/// not required.
async fn ready<S>(State(app): State<App<S>>) -> Response {
    let (databases, media) = futures::future::join(app.shards.ping(), app.media.check()).await;
    let mut down = Vec::new();
    for (database, error) in
        databases.iter().filter_map(|(database, answer)| Some((database, answer.as_ref().err()?)))
    {
        tracing::warn!(database = database.name(), error = error.chain(), "a database does not answer");
        down.push(format!("database: {error}"));
    }
    let mut ready = down.len() < databases.len();
    if let Err(error) = media {
        tracing::warn!(error = error.chain(), "the media store does not answer");
        down.push(format!("media: {error}"));
        ready = false;
    }
    if !ready {
        let mut problem = Problem::unavailable(1);
        problem.detail = down.join("; ");
        return problem.into_response();
    }
    let mut state = serde_json::json!({"ready": true});
    if !down.is_empty() {
        state["down"] = down.into();
    }
    if let Some(redis) = &app.redis {
        state["redis"] = redis.is_up().into();
    }
    Json(state).into_response()
}

/// The metrics of this process for Prometheus: counts and sizes, no personal data.
async fn metrics<S>(State(app): State<App<S>>) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], app.metrics.text()?).into_response())
}

async fn media<S>(State(app): State<App<S>>, Path(key): Path<String>) -> Result<Response, Problem> {
    let absent = || Problem::absent("There is no such file.");
    let key = MediaKey::parse(&key).map_err(|_| absent())?;
    let bytes = app.media.get(&key).await?.ok_or_else(absent)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(key.content_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(MediaKey::CACHE_CONTROL));
    // If a browser ever renders a file as a page, this disables everything in it.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok((headers, bytes).into_response())
}
