//! A post's page, and the actions on it: like, comment, edit, delete.

use askama::Template;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use tripod::web::{Form, IdempotencyKey, Keyed, Once, Page, PageQuery, Path, Problem};

use super::context::PageContext;
use super::frame::{FormErrors, page, page_of};
use super::person::PeoplePage;
use crate::comments::{self, NewComment};
use crate::entity::PostId;
use crate::entity::account::Author;
use crate::entity::post::Audience;
use crate::posts::{self, PostChange};
use crate::views::{self, CommentView, PostView};
use crate::{likes, saves};

#[derive(Template)]
#[template(path = "post.html")]
struct PostPage {
    cx: PageContext,
    post: PostView,
    comments: Vec<CommentView>,
    next: Option<String>,
    may_comment: bool,
    form_errors: FormErrors,
    typed: Typed,
    /// Makes the comment form safe to send twice.
    key: String,
}

/// Refused input, to be corrected.
#[derive(Default)]
struct Typed {
    comment: String,
    caption: Option<String>,
}

#[derive(Template)]
#[template(path = "actions.html")]
struct Actions {
    cx: PageContext,
    post: PostView,
}

#[derive(Template)]
#[template(path = "comment.html")]
struct Comment {
    cx: PageContext,
    comment: CommentView,
    removable: bool,
}

pub async fn show(cx: PageContext, Path(id): Path<PostId>, query: PageQuery) -> Result<Response, Problem> {
    show_with(cx, id, query, FormErrors::default(), Typed::default()).await
}

async fn show_with(
    cx: PageContext,
    id: PostId,
    query: PageQuery,
    form_errors: FormErrors,
    typed: Typed,
) -> Result<Response, Problem> {
    let post = views::post(&cx.app, &cx.app.cached(), cx.viewer(), id).await?;
    let Page { items: comments, next } = comments::list(&cx.app, cx.viewer(), id, query).await?;
    let may_comment =
        comments::may_comment(&cx.app.cached(), cx.viewer(), post.author.id, post.comments_from).await?;
    let (status, key) = (form_errors.status(), IdempotencyKey::random());
    page_of(status, &PostPage { cx, post, comments, next, may_comment, form_errors, typed, key })
}

/// Redirects to the post. A refused form is shown at the address it was sent to; reloading that address
/// leads to the page, at the same place in its list of comments.
pub async fn to_post(Path(id): Path<PostId>, uri: Uri) -> Redirect {
    let place = uri.query().and_then(|query| query.split('&').find(|part| part.starts_with("cursor=")));
    Redirect::to(&format!("/p/{id}?{}", place.unwrap_or_default()))
}

pub async fn like(cx: PageContext, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::set(&cx.app, cx.my_id()?, id, true).await?;
    after_action(cx, id).await
}

pub async fn unlike(cx: PageContext, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::set(&cx.app, cx.my_id()?, id, false).await?;
    after_action(cx, id).await
}

pub async fn save(cx: PageContext, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::set(&cx.app, cx.my_id()?, id, true).await?;
    after_action(cx, id).await
}

pub async fn unsave(cx: PageContext, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::set(&cx.app, cx.my_id()?, id, false).await?;
    after_action(cx, id).await
}

async fn after_action(cx: PageContext, id: PostId) -> Result<Response, Problem> {
    if !cx.wants_piece() {
        return Ok(cx.back(&format!("/p/{id}"), &format!("#post-{id}")));
    }
    let post = views::post(&cx.app, &cx.app.cached(), cx.viewer(), id).await?;
    page(&Actions { cx, post })
}

pub async fn likes(cx: PageContext, Path(id): Path<PostId>, query: PageQuery) -> Result<Response, Problem> {
    let post = views::post(&cx.app, &cx.app.cached(), cx.viewer(), id).await?;
    let list = likes::list(&cx.app, cx.viewer(), id, query).await?;
    let heading = (cx.messages.liked_by)(&post.author.username);
    page(&PeoplePage::new(cx, heading, format!("/p/{id}"), list))
}

pub async fn comment(
    cx: PageContext,
    Path(id): Path<PostId>,
    Keyed(once, Form(new)): Keyed<Form<NewComment>>,
) -> Result<Response, Problem> {
    match comments::add(&cx.app, cx.my_id()?, &once, id, &new).await {
        Ok(_) if !cx.wants_piece() => Ok(Redirect::to(&format!("/p/{id}#comments")).into_response()),
        Ok(comment) => {
            let comment = comments::find(&cx.app, cx.viewer(), comment).await?;
            page(&Comment { cx, comment, removable: true })
        }
        Err(error) => {
            let typed = Typed { comment: new.text, caption: None };
            show_with(cx, id, PageQuery::default(), FormErrors::of(error)?, typed).await
        }
    }
}

pub async fn change_caption(
    cx: PageContext,
    Path(id): Path<PostId>,
    Keyed(once, Form(change)): Keyed<Form<PostChange>>,
) -> Result<Response, Problem> {
    let me = cx.my_id()?;
    let changed = async {
        let caption = change.checked()?;
        posts::change(&cx.app, me, &once, id, caption, change.comments_from).await
    };
    match changed.await {
        Ok(_) => Ok(Redirect::to(&format!("/p/{id}")).into_response()),
        Err(error) => {
            let typed = Typed { comment: String::new(), caption: change.caption };
            show_with(cx, id, PageQuery::default(), FormErrors::of(error)?, typed).await
        }
    }
}

pub async fn delete(cx: PageContext, Path(id): Path<PostId>, once: Once) -> Result<Response, Problem> {
    posts::remove_own(&cx.app, cx.my_id()?, &once, id).await?;
    let me = cx.me.as_ref().map(|(_, author)| author.username.clone()).unwrap_or_default();
    Ok(Redirect::to(&format!("/u/{me}")).into_response())
}

impl PostView {
    /// Whether the viewer has saved it.
    pub(super) fn is_saved(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.saved)
    }

    /// Whether it is for close friends only.
    pub(super) fn is_for_close_friends(&self) -> bool {
        self.audience == Audience::CloseFriends
    }

    /// How many photos it has.
    pub(super) fn photo_count(&self) -> u64 {
        self.photos.len() as u64
    }

    /// Whether the viewer likes it.
    pub(super) fn is_liked(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.liked)
    }
}

/// The number of tints for the initials of people without a picture.
const TINTS: i64 = 6;

impl Author {
    /// The initial shown in place of a missing picture.
    pub(super) fn initial(&self) -> char {
        self.username.chars().next().unwrap_or('?').to_ascii_uppercase()
    }

    /// The tint of that initial.
    pub(super) fn tint(&self) -> i64 {
        // The last ten bits are a sequence, nearly always 0.
        (self.id.raw() >> 10) % TINTS
    }
}
