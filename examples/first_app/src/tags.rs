//! Cuttings by the tags of their captions, such as `#monstera`.

// ANCHOR: index
use axum::extract::State;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, TextEntityKind, tag_name, text_entities};
use tripod::{App, Error, Index, Result};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::entity::cutting;
use crate::{CuttingView, present};

/// Cuttings by the tags in their captions.
#[derive(Index)]
#[index(name = "cutting_by_tag", of = cutting::Entity, keys = tags)]
pub struct CuttingByTag;

/// The tags of a cutting. A private one is found by none.
fn tags(cutting: &cutting::Model) -> Vec<String> {
    let entities = text_entities(&cutting.caption).into_iter().filter(|_| !cutting.private);
    let tags = entities.filter_map(|entity| match entity.kind {
        TextEntityKind::Tag(name) => Some(name),
        _ => None,
    });
    tags.collect()
}
// ANCHOR_END: index

// ANCHOR: list
/// The cuttings with a tag, newest first.
#[utoipa::path(get, path = "/tags/{tag}/cuttings", params(("tag" = String, Path), PageQuery),
    responses((status = 200, body = Page<CuttingView>)))]
async fn cuttings_with_tag(
    State(app): State<App>,
    viewer: Viewer,
    Path(tag): Path<String>,
    page: PageQuery,
) -> Result<Json<Page<CuttingView>>> {
    let tag = tag_name(&tag).ok_or_else(|| Error::invalid_field("tag", "is not the name of a tag"))?;
    let read = app.cached().available();
    let cuttings = |part| read.indexed::<CuttingByTag>(&tag, part);
    page.fill(cuttings, |rows| present(&app, &read, viewer, rows)).await.map(Json)
}
// ANCHOR_END: list

/// The routes about tags.
pub fn api() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(cuttings_with_tag))
}
