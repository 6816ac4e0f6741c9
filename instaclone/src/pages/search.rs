//! Searching for people by the beginning of their user name.

use askama::Template;
use axum::response::Response;
use serde::Deserialize;
use tripod::web::{Problem, Query};

use super::context::PageContext;
use super::frame::page;
use crate::entity::account::Author;
use crate::entity::username;
use crate::views;

/// Maximum people shown; typing more of the name finds the others.
const MOST: u64 = 30;

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
    people: Vec<Author>,
}

pub async fn search(cx: PageContext, Query(Question { q }): Query<Question>) -> Result<Response, Problem> {
    let q = q.trim().trim_start_matches('@').to_owned();
    let people = beginning_with(&cx, &q.to_lowercase()).await?;
    page(&SearchPage { cx, q, people })
}

/// The people whose names begin with `start`, by name.
async fn beginning_with(cx: &PageContext, start: &str) -> Result<Vec<Author>, Problem> {
    let may_be_a_name = !start.is_empty()
        && start.len() <= 30
        && start.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_'));
    if !may_be_a_name {
        return Ok(Vec::new());
    }
    let read = cx.app.cached().available();
    let names = read.starting_with::<username::Entity>(start, MOST).await?;
    let ids = names.iter().map(|name| name.peek().account_id).collect();
    let people = views::authors(&cx.app, &read, cx.viewer(), ids).await?;
    Ok(people.into_iter().flatten().collect())
}
