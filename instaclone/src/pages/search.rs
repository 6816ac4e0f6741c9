//! Searching for people and tags, and the photos of a tag.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;
use tripod::web::{Page, PageQuery, Path, Problem, Query};

use super::context::PageContext;
use super::frame::page;
use super::home::GridPage;
use crate::entity::account::Author;
use crate::search::{self, Found};
use crate::tags::{self, Tag};

/// People per page.
const PEOPLE: u16 = 30;
/// Photos per page of a tag: rows of three.
const TILES: u16 = 30;

/// The search text.
#[derive(Deserialize)]
pub struct Question {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    cx: PageContext,
    q: String,
    /// Those that are found, or that rise if nothing is searched for.
    tags: Vec<Tag>,
    people: Vec<Author>,
    next: Option<String>,
    /// The search, for the address of the next page.
    more: String,
}

pub async fn search(
    cx: PageContext,
    Query(Question { q }): Query<Question>,
    query: PageQuery,
) -> Result<Response, Problem> {
    let q = q.trim().to_owned();
    let found = match q.is_empty() {
        true => Found { users: Vec::new(), tags: tags::rising(&cx.app, cx.viewer()).await?, next: None },
        false => search::search(&cx.app, cx.viewer(), &q, query.or_limit(PEOPLE)).await?,
    };
    let Found { users: people, tags, next } = found;
    let more = format!("{}&", serde_urlencoded::to_string([("q", &q)]).unwrap_or_default());
    page(&SearchPage { cx, q, tags, people, next, more })
}

pub async fn tag(cx: PageContext, Path(tag): Path<String>, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: posts, next } = tags::posts(&cx.app, cx.viewer(), &tag, query.or_limit(TILES)).await?;
    let heading = format!("#{}", tag.trim_start_matches('#'));
    page(&GridPage { cx, heading, posts, next })
}
