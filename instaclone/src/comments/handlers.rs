//! The API's operations on comments.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{IdempotencyKey, Json, Keyed, Once, Page, PageQuery, Path, Problem, SignedIn};
use tripod::{App, Result};

use super::{NewComment, add, find, list, remove, replies, set_liked};
use crate::entity::{CommentId, PostId};
use crate::views::CommentView;

/// The comments of a post, newest first.
#[utoipa::path(get, path = "/posts/{id}/comments", tag = "comments", operation_id = "listComments",
    params(("id" = PostId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of comments.", body = Page<CommentView>)))]
pub async fn list_comments(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<PostId>,
    page: PageQuery,
) -> Result<Json<Page<CommentView>>> {
    list(&app, viewer, id, page).await.map(Json)
}

/// Comment on a post.
#[utoipa::path(post, path = "/posts/{id}/comments", tag = "comments", operation_id = "createComment",
    params(("id" = PostId, Path), IdempotencyKey),
    request_body = NewComment, security(("bearer" = [])),
    responses((status = 201, description = "The comment.", body = CommentView),
              (status = 403, description = "The post does not take comments of you.", body = Problem, content_type = "application/problem+json")))]
pub async fn create_comment(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<PostId>,
    Keyed(once, Json(new)): Keyed<Json<NewComment>>,
) -> Result<(StatusCode, Json<CommentView>)> {
    let comment = add(&app, me.id(), &once, id, &new).await?;
    Ok((StatusCode::CREATED, Json(find(&app, me.viewer(), comment).await?)))
}

/// Delete a comment: yours, or any under your post.
#[utoipa::path(delete, path = "/comments/{id}", tag = "comments", operation_id = "deleteComment",
    params(("id" = CommentId, Path), IdempotencyKey), security(("bearer" = [])),
    responses((status = 204, description = "The comment is deleted."),
              (status = 403, description = "The comment is neither yours nor under your post.", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_comment(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CommentId>,
    once: Once,
) -> Result<StatusCode> {
    remove(&app, me.id(), &once, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The replies to a comment, newest first.
#[utoipa::path(get, path = "/comments/{id}/replies", tag = "comments", operation_id = "listReplies",
    params(("id" = CommentId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of comments.", body = Page<CommentView>)))]
pub async fn list_replies(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<CommentId>,
    page: PageQuery,
) -> Result<Json<Page<CommentView>>> {
    replies(&app, viewer, id, page).await.map(Json)
}

/// Like a comment.
#[utoipa::path(put, path = "/comments/{id}/like", tag = "comments", operation_id = "likeComment",
    params(("id" = CommentId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You like this comment.")))]
pub async fn like_comment(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CommentId>,
) -> Result<StatusCode> {
    set_liked(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unlike a comment.
#[utoipa::path(delete, path = "/comments/{id}/like", tag = "comments", operation_id = "unlikeComment",
    params(("id" = CommentId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not like this comment.")))]
pub async fn unlike_comment(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CommentId>,
) -> Result<StatusCode> {
    set_liked(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}
