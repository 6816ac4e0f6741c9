//! Comments: stored and counted on their post's shard.

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use tripod::access::Viewer;
use tripod::shard::{Read, Tx};
use tripod::web::{
    IdempotencyKey, Json, Keyed, Once, Page, PageQuery, Path, Problem, RateLimit, SignedIn, text_field,
};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

use crate::entity::post::CommentsFrom;
use crate::entity::{AccountId, CommentId, Follow, PostId, comment};
use crate::views::{self, CommentView};
use crate::visibility::{self, no_comment, no_post};

/// Maximum characters in a comment.
const TEXT: usize = 2_200;
/// Comments per account.
const COMMENTS: RateLimit = RateLimit::new("comment", 120, 3_600);

/// A new comment.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewComment {
    /// 1 to 2,200 characters.
    #[schema(min_length = 1, max_length = 2200)]
    pub text: String,
}

/// Comments on a post that the account may see. The comment and its post's count are one transaction.
pub async fn add(app: &App, me: AccountId, once: &Once, post: PostId, new: &NewComment) -> Result<CommentId> {
    app.limits.check(COMMENTS, me).await?;
    let text = text_field("text", &new.text, 1..=TEXT)?;
    let read = app.cached();
    let post = visibility::post(&read, Viewer::from(me), post).await?;
    if !are_taken(&read, Viewer::from(me), post.author_id, post.comments_from).await? {
        return Err(Error::forbidden("You may not comment on this post."));
    }
    let post = post.id;
    let row = comment::ActiveModel {
        post_id: Set(post),
        author_id: Set(me),
        text: Set(text),
        ..Default::default()
    };
    let add = once.write(post, move |tx| async move {
        // A post that was deleted meanwhile accepts no comment.
        tx.update(post, |post| post.comment_count += 1).await?.ok_or_else(no_post)?;
        tx.insert(row).await
    });
    add.await
}

/// Whether a viewer who may see a post may comment on it.
pub async fn are_taken(read: &Read, viewer: Viewer, author: AccountId, from: CommentsFrom) -> Result<bool> {
    Ok(match from {
        CommentsFrom::Everyone => true,
        CommentsFrom::Followers => {
            viewer.is(author) || !read.targets_among::<Follow>(viewer.id(), &[author]).await?.is_empty()
        }
        CommentsFrom::Nobody => false,
    })
}

/// Deletes a comment: the account's own, or any under its posts.
pub async fn remove(app: &App, me: AccountId, once: &Once, id: CommentId) -> Result<()> {
    // A repeat finds no comment, and gets the same response as the first request.
    let removal = async {
        let post = removable(app, me, id).await?;
        once.write(id, move |tx| delete(tx, id, post)).await
    };
    once.earlier_or(id, removal).await
}

/// Deletes a comment of an account that is deleted.
pub async fn erase(app: &App, comment: &comment::Model) -> Result<()> {
    let (id, post) = (comment.id, comment.post_id);
    app.write(id, move |tx| delete(tx, id, post)).await
}

async fn delete(tx: Tx, id: CommentId, post: PostId) -> Result<()> {
    if tx.delete(id).await? {
        tx.update(post, |post| post.comment_count -= 1).await?;
    }
    Ok(())
}

/// The post of a comment, if the account may delete the comment.
async fn removable(app: &App, me: AccountId, id: CommentId) -> Result<PostId> {
    let comment = app.primary().find(id).await?.ok_or_else(no_comment)?;
    let (author, post) = (comment.peek().author_id, comment.peek().post_id);
    let post = visibility::post(&app.cached(), Viewer::from(me), post).await;
    let post = post.map_err(|error| if error.is_absent() { no_comment() } else { error })?;
    // The post's author deletes any comment under it, also that of an account which is gone.
    if post.author_id == me {
        return Ok(post.id);
    }
    find(app, Viewer::from(me), id).await?;
    match author == me {
        true => Ok(post.id),
        false => Err(Error::forbidden("It is neither your comment nor under your post.")),
    }
}

/// The comment with this id, if the viewer may see it.
pub async fn find(app: &App, viewer: Viewer, id: CommentId) -> Result<CommentView> {
    let read = app.primary();
    let found = read.find(id).await?.ok_or_else(no_comment)?;
    views::comments(app, &read, viewer, vec![found]).await?.pop().flatten().ok_or_else(no_comment)
}

/// The comments of a post, newest first.
pub async fn list(app: &App, viewer: Viewer, post: PostId, page: PageQuery) -> Result<Page<CommentView>> {
    let read = app.cached();
    let post = visibility::post(&read, viewer, post).await?.id;
    page.fill(
        |part| read.list::<comment::Entity>(post, part),
        |comments| views::comments(app, &read, viewer, comments),
    )
    .await
}

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
