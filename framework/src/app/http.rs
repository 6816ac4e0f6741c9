//! The router of an app: its own routes inside the layers that every app gets, and the routes
//! that every app has.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use utoipa_axum::router::OpenApiRouter;

use super::pages::dressed;
use super::{Pages, Tripod, openapi};
use crate::error::Result;
use crate::media::MediaKey;
use crate::telemetry::Metrics;
use crate::web::body::UploadBudget;
use crate::web::{
    Path, Problem, authenticate, body, fallback, idempotent, limit_requests, limit_tokens,
    method_not_allowed, observe, panicked, refuse_unproven,
};

pub(super) fn router(
    name: &str,
    version: &str,
    (routes, uploads): (OpenApiRouter<Tripod>, OpenApiRouter<Tripod>),
    pages: Option<Pages>,
    tripod: Tripod,
) -> Result<Router> {
    let budget = UploadBudget::default();
    let budgeted = || from_fn_with_state(budget.clone(), body::budgeted);
    let ((routes, document), (uploads, more)) = (routes.split_for_parts(), uploads.split_for_parts());
    let document = openapi::finish(document.merge_from(more), name, version);
    let api = routes.layer(from_fn_with_state(tripod.clone(), idempotent)).merge(uploads.layer(budgeted()));
    let known = |router: Router<Tripod>| {
        router
            .layer(from_fn_with_state(tripod.clone(), limit_requests))
            .layer(from_fn_with_state(tripod.clone(), authenticate))
            .layer(from_fn_with_state(tripod.clone(), limit_tokens))
    };
    let mut app = known(api.layer(from_fn(refuse_unproven)));
    if let Some(pages) = pages {
        let Pages { routes, files, uploads, problem } = pages.guarded();
        app = app.merge(dressed(known(routes.merge(uploads.layer(budgeted()))).merge(files), problem));
    } else {
        app = app.fallback(fallback);
    }
    let router = Router::new()
        .merge(app)
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/media/{key}", get(media))
        .merge(openapi::pages(document)?)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(body::limit(body::DEFAULT_LIMIT_BYTES))
        .layer(from_fn(observe))
        .with_state(tripod);
    Ok(router)
}

/// Whether requests can be served: the media store answers and some database does. One that does not
/// is named; while others do, this process is worth its requests. Redis is told of and not needed.
async fn ready(State(tripod): State<Tripod>) -> Response {
    let (databases, media) = futures::future::join(tripod.shards.ping(), tripod.media.check()).await;
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
    if let Some(redis) = &tripod.redis {
        state["redis"] = redis.is_up().into();
    }
    Json(state).into_response()
}

/// The figures of this process, for Prometheus: counts and sizes, nothing of anybody.
async fn metrics(State(tripod): State<Tripod>) -> Result<Response, Problem> {
    Ok(([(CONTENT_TYPE, Metrics::CONTENT_TYPE)], tripod.metrics.text()?).into_response())
}

async fn media(State(tripod): State<Tripod>, Path(key): Path<String>) -> Result<Response, Problem> {
    let absent = || Problem::absent("There is no such file.");
    let key = MediaKey::parse(&key).map_err(|_| absent())?;
    let bytes = tripod.media.get(&key).await?.ok_or_else(absent)?;
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, axum::http::HeaderValue::from_static(key.content_type()));
    headers.insert(CACHE_CONTROL, axum::http::HeaderValue::from_static(MediaKey::CACHE_CONTROL));
    // Should a browser ever take a file for a page, it may do nothing.
    headers
        .insert(CONTENT_SECURITY_POLICY, axum::http::HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok((headers, bytes).into_response())
}
