//! A post's page, and what one does with a post: like it, comment, change it, delete it.

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use tripod::web::{Form, IDEMPOTENCY_KEY, Json, Page, PageQuery, Path, Problem, Query, Slot, content_hash};

use super::frame::{Faults, page, page_of};
use super::person::PeoplePage;
use super::visit::Visit;
use crate::accounts::Author;
use crate::comments::comment::CommentId;
use crate::comments::{self, CommentView, NewComment};
use crate::posts::post::PostId;
use crate::posts::{self, PostChange, PostView};
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

/// The longest id, in decimal digits.
const ID_BYTES: usize = 20;

/// The key of a form that makes something: sent twice, it makes it once.
#[derive(Deserialize)]
pub struct FormKey {
    #[serde(default)]
    key: String,
}

impl FormKey {
    /// A key that no other form has.
    pub fn fresh() -> String {
        format!("form-{:032x}", rand::random::<u128>())
    }

    /// The visit's header fields, with this key as the API takes it.
    pub fn headers(&self, v: &Visit) -> axum::http::HeaderMap {
        let mut headers = v.headers.clone();
        if let Some(key) = HeaderValue::from_str(&self.key).ok().filter(|key| !key.is_empty()) {
            headers.insert(IDEMPOTENCY_KEY, key);
        }
        headers
    }
}

pub async fn show(v: Visit, Path(id): Path<PostId>, query: Query<PageQuery>) -> Result<Response, Problem> {
    show_with(v, id, query, Faults::default(), Typed::default()).await
}

async fn show_with(
    v: Visit,
    id: PostId,
    query: Query<PageQuery>,
    faults: Faults,
    typed: Typed,
) -> Result<Response, Problem> {
    let (tripod, viewer) = (State(v.tripod.clone()), v.viewer());
    let Json(post) = posts::get_post(tripod.clone(), viewer, Path(id)).await?;
    let Json(Page { items: comments, next }) =
        comments::list_comments(tripod, viewer, Path(id), query).await?;
    let status = faults.status();
    page_of(status, &PostPage { v, post, comments, next, faults, typed, key: FormKey::fresh() })
}

/// A refused form is shown at the address it was sent to; coming back there leads to the page, at
/// the same place in its list of comments.
pub async fn to_post(Path(id): Path<PostId>, uri: Uri) -> Redirect {
    let place = uri.query().and_then(|query| query.split('&').find(|part| part.starts_with("cursor=")));
    Redirect::to(&format!("/p/{id}?{}", place.unwrap_or_default()))
}

pub async fn like(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::like_post(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
    after_action(v, id).await
}

pub async fn unlike(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    likes::unlike_post(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
    after_action(v, id).await
}

pub async fn save(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::save_post(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
    after_action(v, id).await
}

pub async fn unsave(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    saves::unsave_post(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
    after_action(v, id).await
}

async fn after_action(v: Visit, id: PostId) -> Result<Response, Problem> {
    if !v.wants_piece() {
        return Ok(v.back(&format!("/p/{id}"), &format!("#post-{id}")));
    }
    let Json(post) = posts::get_post(State(v.tripod.clone()), v.viewer(), Path(id)).await?;
    page(&Actions { v, post })
}

pub async fn likes(v: Visit, Path(id): Path<PostId>, query: Query<PageQuery>) -> Result<Response, Problem> {
    let (tripod, viewer) = (State(v.tripod.clone()), v.viewer());
    let Json(post) = posts::get_post(tripod.clone(), viewer, Path(id)).await?;
    let Json(list) = likes::list_post_likes(tripod, viewer, Path(id), query).await?;
    let heading = (v.words.liked_by)(&post.author.username);
    page(&PeoplePage::new(v, heading, format!("/p/{id}"), list))
}

pub async fn comment(
    v: Visit,
    Path(id): Path<PostId>,
    Query(key): Query<FormKey>,
    Form(new): Form<NewComment>,
) -> Result<Response, Problem> {
    let (me, tripod) = (v.signed_in()?, v.tripod.clone());
    let text = new.text.clone();
    let content = content_hash(&axum::http::Method::POST, &v.path, [text.as_bytes()]);
    let once = async |slot: Slot| {
        let made =
            comments::create_comment(State(tripod.clone()), me.clone(), slot, Path(id), Json(new)).await;
        made.map(|(_, Json(comment))| comment.id.to_string()).into_response()
    };
    let made = tripod.idempotency.once(me.0.account, &key.headers(&v), content, once).await;
    let refused = match made {
        Ok(mut reply) => match reply.extensions_mut().remove::<Problem>() {
            Some(problem) => problem,
            None => return after_comment(v, id, reply).await,
        },
        Err(problem) => problem,
    };
    let faults = Faults::of(refused)?;
    let typed = Typed { comment: text, caption: None };
    show_with(v, id, Query(PageQuery::default()), faults, typed).await
}

/// Shows the comment whose id this reply holds, or the post with it.
async fn after_comment(v: Visit, id: PostId, made: Response) -> Result<Response, Problem> {
    if !v.wants_piece() {
        return Ok(Redirect::to(&format!("/p/{id}#comments")).into_response());
    }
    let bytes = axum::body::to_bytes(made.into_body(), ID_BYTES).await.map_err(|_| Problem::internal())?;
    let made = std::str::from_utf8(&bytes).ok().and_then(|id| id.parse().ok());
    let comment =
        comments::visible_comment(&v.tripod, v.viewer(), made.ok_or_else(Problem::internal)?).await?;
    page(&Comment { v, comment, removable: true })
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
    comments::delete_comment(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
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
    let caption = change.caption.clone();
    match posts::update_post(State(v.tripod.clone()), v.signed_in()?, Path(id), Json(change)).await {
        Ok(_) => Ok(Redirect::to(&format!("/p/{id}")).into_response()),
        Err(problem) => {
            let (faults, typed) = (Faults::of(problem)?, Typed { comment: String::new(), caption });
            show_with(v, id, Query(PageQuery::default()), faults, typed).await
        }
    }
}

pub async fn delete(v: Visit, Path(id): Path<PostId>) -> Result<Response, Problem> {
    posts::delete_post(State(v.tripod.clone()), v.signed_in()?, Path(id)).await?;
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
