//! A comment with its replies, and the actions on comments.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::web::{Form, IdempotencyKey, Keyed, Page, PageQuery, Path, Problem};

use super::context::PageContext;
use super::frame::{FormErrors, page_of};
use crate::comments::{self, NewComment};
use crate::entity::account::Author;
use crate::entity::{CommentId, PostId};
use crate::views::{self, CommentView};

#[derive(Template)]
#[template(path = "thread.html")]
struct ThreadPage {
    cx: PageContext,
    parent: CommentView,
    post_author: Author,
    replies: Vec<CommentView>,
    next: Option<String>,
    may_comment: bool,
    form_errors: FormErrors,
    typed: String,
    /// Makes the reply's form safe to send twice.
    key: String,
}

pub async fn show(cx: PageContext, Path(id): Path<CommentId>, query: PageQuery) -> Result<Response, Problem> {
    show_with(cx, id, query, FormErrors::default(), String::new()).await
}

async fn show_with(
    cx: PageContext,
    id: CommentId,
    query: PageQuery,
    form_errors: FormErrors,
    typed: String,
) -> Result<Response, Problem> {
    let Page { items: replies, next } = comments::replies(&cx.app, cx.viewer(), id, query).await?;
    let parent = comments::find(&cx.app, cx.viewer(), id).await?;
    let read = cx.app.cached();
    let post = views::post(&cx.app, &read, cx.viewer(), parent.post_id).await?;
    let may_comment = comments::may_comment(&read, cx.viewer(), post.author.id, post.comments_from).await?;
    let (status, key) = (form_errors.status(), IdempotencyKey::random());
    let post_author = (*post.author).clone();
    let thread = ThreadPage { cx, parent, post_author, replies, next, may_comment, form_errors, typed, key };
    page_of(status, &thread)
}

/// Redirects to the comment, from the address that its form was sent to.
pub async fn to_thread(Path(id): Path<CommentId>) -> Redirect {
    Redirect::to(&format!("/comments/{id}"))
}

/// A typed reply.
#[derive(Deserialize)]
pub struct Reply {
    text: String,
}

pub async fn reply(
    cx: PageContext,
    Path(id): Path<CommentId>,
    Keyed(once, Form(reply)): Keyed<Form<Reply>>,
) -> Result<Response, Problem> {
    let me = cx.my_id()?;
    let parent = comments::find(&cx.app, cx.viewer(), id).await?;
    let new = NewComment { text: reply.text, parent_id: Some(id) };
    match comments::add(&cx.app, me, &once, parent.post_id, &new).await {
        Ok(_) => Ok(Redirect::to(&format!("/comments/{id}")).into_response()),
        Err(error) => show_with(cx, id, PageQuery::default(), FormErrors::of(error)?, new.text).await,
    }
}

pub async fn like(cx: PageContext, Path(id): Path<CommentId>) -> Result<Response, Problem> {
    set_liked(cx, id, true).await
}

pub async fn unlike(cx: PageContext, Path(id): Path<CommentId>) -> Result<Response, Problem> {
    set_liked(cx, id, false).await
}

async fn set_liked(cx: PageContext, id: CommentId, liked: bool) -> Result<Response, Problem> {
    comments::set_liked(&cx.app, cx.my_id()?, id, liked).await?;
    Ok(cx.back(&format!("/comments/{id}"), &format!("#comment-{id}")))
}

/// The post that a comment's form belongs to.
#[derive(Deserialize)]
pub struct Under {
    post: PostId,
}

pub async fn delete(
    cx: PageContext,
    Path(id): Path<CommentId>,
    Keyed(once, Form(under)): Keyed<Form<Under>>,
) -> Result<Response, Problem> {
    comments::remove(&cx.app, cx.my_id()?, &once, id).await?;
    if cx.wants_piece() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Redirect::to(&format!("/p/{}#comments", under.post)).into_response())
}

impl CommentView {
    /// Whether the viewer likes it.
    pub(super) fn is_liked(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.liked)
    }

    /// How many replies it has.
    pub(super) fn reply_count(&self) -> u64 {
        self.counts.replies.max(0) as u64
    }
}
