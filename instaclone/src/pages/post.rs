//! A post's page, and what one does with a post: like it, comment, change it, delete it.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::web::{Form, IdempotencyKey, Keyed, Once, Page, PageQuery, Path, Problem};

use super::frame::{Faults, page, page_of};
use super::person::PeoplePage;
use super::visit::Visit;
use crate::comments::{self, NewComment};
use crate::entity::{CommentId, PostId};
use crate::posts::{self, PostChange};
use crate::views::{self, Author, CommentView, PostView};
use crate::{likes, saves};

#[derive(Template)]
#[template(path = "post.html")]
struct PostPage {
    v: Visit,
    post: PostView,
    comments: Vec<CommentView>,
    next: Option<String>,
    faults: Faults,
    typed: Typed,
    /// Makes the comment form safe to send twice.
    key: String,
}

/// What was refused, to be mended.
#[derive(Default)]
struct Typed {
    comment: String,
    caption: Option<String>,
}

#[derive(Template)]
#[template(path = "actions.html")]
struct Actions {
    v: Visit,
    post: PostView,
}

#[derive(Template)]
#[template(path = "comment.html")]
struct Comment {
    v: Visit,
    comment: CommentView,
    removable: bool,
}

pub async fn show(v: Visit, Path(id): Path<PostId>, query: PageQuery) -> Result<Response, Problem> {
    show_with(v, id, query, Faults::default(), Typed::default()).await
}

async fn show_with(
    v: Visit,
    id: PostId,
    query: PageQuery,
    faults: Faults,
    typed: Typed,
) -> Result<Response, Problem> {
    let post = views::post(&v.app, &v.app.cached(), v.viewer(), id).await?;
    let Page { items: comments, next } = comments::list(&v.app, v.viewer(), id, query).await?;
    let status = faults.status();
    page_of(status, &PostPage { v, post, comments, next, faults, typed, key: IdempotencyKey::random() })
}

/// A refused form is shown at the address it was sent to; coming back there leads to the page, at
/// the same place in its list of comments.
pub async fn to_post(Path(id): Path<PostId>, uri: Uri) -> Redirect {
    let place = uri.query().and_then(|query| query.split('&').find(|part| part.starts_with("cursor=")));
    Redirect::to(&format!("/p/{id}?{}", place.unwrap_or_default()))
}

pub async fn like(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::set(&v.app, v.my_id()?, id, true).await?;
    after_action(v, id).await
}

pub async fn unlike(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::set(&v.app, v.my_id()?, id, false).await?;
    after_action(v, id).await
}

pub async fn save(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::set(&v.app, v.my_id()?, id, true).await?;
    after_action(v, id).await
}

pub async fn unsave(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::set(&v.app, v.my_id()?, id, false).await?;
    after_action(v, id).await
}

async fn after_action(v: Visit, id: PostId) -> Result<Response, Problem> {
    if !v.wants_piece() {
        return Ok(v.back(&format!("/p/{id}"), &format!("#post-{id}")));
    }
    let post = views::post(&v.app, &v.app.cached(), v.viewer(), id).await?;
    page(&Actions { v, post })
}

pub async fn likes(v: Visit, Path(id): Path<PostId>, query: PageQuery) -> Result<Response, Problem> {
    let post = views::post(&v.app, &v.app.cached(), v.viewer(), id).await?;
    let list = likes::list(&v.app, v.viewer(), id, query).await?;
    let heading = (v.words.liked_by)(&post.author.username);
    page(&PeoplePage::new(v, heading, format!("/p/{id}"), list))
}

pub async fn comment(
    v: Visit,
    Path(id): Path<PostId>,
    Keyed(once, Form(new)): Keyed<Form<NewComment>>,
) -> Result<Response, Problem> {
    match comments::add(&v.app, v.my_id()?, &once, id, &new).await {
        Ok(_) if !v.wants_piece() => Ok(Redirect::to(&format!("/p/{id}#comments")).into_response()),
        Ok(comment) => {
            let comment = comments::find(&v.app, v.viewer(), comment).await?;
            page(&Comment { v, comment, removable: true })
        }
        Err(error) => {
            let typed = Typed { comment: new.text, caption: None };
            show_with(v, id, PageQuery::default(), Faults::of(error)?, typed).await
        }
    }
}

/// Which post a comment's form stands under.
#[derive(Deserialize)]
pub struct Under {
    post: PostId,
}

pub async fn delete_comment(
    v: Visit,
    Path(id): Path<CommentId>,
    Form(under): Form<Under>,
) -> Result<Response, Problem> {
    comments::remove(&v.app, v.my_id()?, id).await?;
    if v.wants_piece() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    Ok(Redirect::to(&format!("/p/{}#comments", under.post)).into_response())
}

pub async fn change_caption(
    v: Visit,
    Path(id): Path<PostId>,
    Form(change): Form<PostChange>,
) -> Result<Response, Problem> {
    let (me, once) = (v.my_id()?, Once::without_key(v.app.shards.clone()));
    let changed = async { posts::change_caption(&v.app, me, &once, id, change.checked()?).await };
    match changed.await {
        Ok(_) => Ok(Redirect::to(&format!("/p/{id}")).into_response()),
        Err(error) => {
            let typed = Typed { comment: String::new(), caption: change.caption };
            show_with(v, id, PageQuery::default(), Faults::of(error)?, typed).await
        }
    }
}

pub async fn delete(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    posts::remove_own(&v.app, v.my_id()?, &Once::without_key(v.app.shards.clone()), id).await?;
    let me = v.me.as_ref().map(|(_, author)| author.username.clone()).unwrap_or_default();
    Ok(Redirect::to(&format!("/u/{me}")).into_response())
}

impl PostView {
    /// Whether the viewer keeps it.
    pub(super) fn is_saved(&self) -> bool {
        self.viewer.as_ref().is_some_and(|viewer| viewer.saved)
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

/// Tints of the letters that stand for people without a picture.
const TINTS: i64 = 6;

impl Author {
    /// The letter that stands for a missing picture.
    pub(super) fn initial(&self) -> char {
        self.username.chars().next().unwrap_or('?').to_ascii_uppercase()
    }

    /// Which tint that letter has.
    pub(super) fn tint(&self) -> i64 {
        // The last ten bits are a sequence, nearly always 0.
        (self.id.raw() >> 10) % TINTS
    }
}
