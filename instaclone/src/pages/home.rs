//! The home feed, explore, what one saved, and the welcome of those who are not signed in.

use askama::Template;
use axum::response::Response;
use tripod::access::Viewer;
use tripod::web::{Page, PageQuery, Problem};

use super::frame::{Faults, page};
use super::visit::Visit;
use crate::views::PostView;
use crate::{feed, posts, saves};

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
pub async fn feed(v: Visit, query: PageQuery) -> Result<Response, Problem> {
    let Ok(me) = v.my_id() else { return welcome(v).await };
    let Page { items: posts, next } = feed::home(&v.app, me, query).await?;
    page(&HomePage { v, posts, next })
}
// ANCHOR_END: feed

async fn welcome(v: Visit) -> Result<Response, Problem> {
    let newest = posts::newest(&v.app, Viewer::Anonymous, PageQuery::first(GLIMPSE)).await?;
    page(&WelcomePage { v, faults: Faults::default(), posts: newest.items })
}

pub async fn explore(v: Visit, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: posts, next } = posts::newest(&v.app, v.viewer(), query.or_limit(TILES)).await?;
    page(&GridPage { heading: v.words.explore, v, posts, next })
}

pub async fn saved(v: Visit, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: posts, next } = saves::list(&v.app, v.my_id()?, query.or_limit(TILES)).await?;
    page(&GridPage { heading: v.words.kept, v, posts, next })
}
