//! The home feed, explore, what one saved, and the welcome of those who are not signed in.

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Problem, Query};

use super::frame::{Faults, page};
use super::visit::Visit;
use crate::posts::PostView;
use crate::{feed, saves};

/// Photos of a page of explore: rows of three.
const TILES: u16 = 30;
/// Photos of the glimpse that the welcome gives.
const GLIMPSE: u16 = 9;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    v: Visit,
    posts: Vec<PostView>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    v: Visit,
    faults: Faults,
    posts: Vec<PostView>,
}

#[derive(Template)]
#[template(path = "explore.html")]
struct GridPage {
    v: Visit,
    heading: &'static str,
    posts: Vec<PostView>,
    next: Option<String>,
}

// ANCHOR: feed
pub async fn feed(v: Visit, query: Query<PageQuery>) -> Result<Response, Problem> {
    let Ok(me) = v.signed_in() else { return welcome(v).await };
    let Json(Page { items: posts, next }) = feed::get_feed(State(v.tripod.clone()), me, query).await?;
    page(&HomePage { v, posts, next })
}
// ANCHOR_END: feed

async fn welcome(v: Visit) -> Result<Response, Problem> {
    let newest = Query(PageQuery::first(GLIMPSE));
    let Json(newest) = feed::get_explore(State(v.tripod.clone()), Viewer::Anonymous, newest).await?;
    page(&WelcomePage { v, faults: Faults::default(), posts: newest.items })
}

pub async fn explore(v: Visit, Query(query): Query<PageQuery>) -> Result<Response, Problem> {
    let query = Query(query.or_limit(TILES));
    let Json(Page { items: posts, next }) =
        feed::get_explore(State(v.tripod.clone()), v.viewer(), query).await?;
    page(&GridPage { heading: v.words.explore, v, posts, next })
}

pub async fn saved(v: Visit, Query(query): Query<PageQuery>) -> Result<Response, Problem> {
    let query = Query(query.or_limit(TILES));
    let Json(Page { items: posts, next }) =
        saves::list_saved_posts(State(v.tripod.clone()), v.signed_in()?, query).await?;
    page(&GridPage { heading: v.words.kept, v, posts, next })
}
