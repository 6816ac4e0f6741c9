//! The home feed, explore, saved posts, and the welcome page for visitors who are not signed in.

use askama::Template;
use axum::response::Response;
use tripod::access::Viewer;
use tripod::web::{Page, PageQuery, Problem};

use super::context::PageContext;
use super::frame::{FormErrors, page};
use crate::views::PostView;
use crate::{explore, feed, saves};

/// Photos per page of explore: rows of three.
const TILES: u16 = 30;
/// Photos on the welcome page.
const GLIMPSE: u16 = 9;

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    cx: PageContext,
    posts: Vec<PostView>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "welcome.html")]
struct WelcomePage {
    cx: PageContext,
    form_errors: FormErrors,
    posts: Vec<PostView>,
}

/// A list of photos under a heading.
#[derive(Template)]
#[template(path = "explore.html")]
pub struct GridPage {
    pub cx: PageContext,
    pub heading: String,
    pub posts: Vec<PostView>,
    pub next: Option<String>,
}

// ANCHOR: feed
pub async fn feed(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let Ok(me) = cx.my_id() else { return welcome(cx).await };
    let Page { items: posts, next } = feed::home(&cx.app, me, query).await?;
    page(&HomePage { cx, posts, next })
}
// ANCHOR_END: feed

async fn welcome(cx: PageContext) -> Result<Response, Problem> {
    let newest = explore::list(&cx.app, Viewer::Anonymous, PageQuery::first(GLIMPSE)).await?;
    page(&WelcomePage { cx, form_errors: FormErrors::default(), posts: newest.items })
}

pub async fn explore(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: posts, next } = explore::list(&cx.app, cx.viewer(), query.or_limit(TILES)).await?;
    page(&GridPage { heading: cx.messages.explore.to_owned(), cx, posts, next })
}

pub async fn saved(cx: PageContext, query: PageQuery) -> Result<Response, Problem> {
    let Page { items: posts, next } = saves::list(&cx.app, cx.my_id()?, query.or_limit(TILES)).await?;
    page(&GridPage { heading: cx.messages.kept.to_owned(), cx, posts, next })
}
