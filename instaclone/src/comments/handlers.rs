//! Comment on a post, delete a comment, and the comments of a post.

use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer, visible};
use tripod::shard::{self, Claimed, Tx};
use tripod::web::{
    Filling, Json, Page, PageQuery, Path, Payer, Problem, Query, Rule, SignedIn, Slot, after_id,
};
use tripod::{Error, Result, Tripod};
use utoipa::ToSchema;

use super::comment::{self, CommentId};
use crate::accounts::account::AccountId;
use crate::accounts::{Author, People};
use crate::posts::post::{self, PostId};
use crate::posts::{self, visible_post};
use crate::text::Texts;

/// Characters of a comment.
const TEXT: usize = 2_200;
/// Comments of one account.
const COMMENTS: Rule = Rule::new("comment", 120, 3_600);

/// A comment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comment)]
pub struct CommentView {
    pub id: CommentId,
    pub post_id: PostId,
    pub author: Author,
    pub text: String,
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// What to say.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewComment {
    /// 1 to 2,200 characters.
    #[schema(min_length = 1, max_length = 2200)]
    pub text: String,
}

/// Those of `comments` that the viewer sees, in their order.
async fn present(
    tripod: &Tripod,
    viewer: Viewer,
    comments: Vec<Unchecked<comment::Model>>,
) -> Result<Vec<CommentView>> {
    let authors =
        People::load(tripod, viewer, comments.iter().map(|comment| comment.peek().author_id)).await?;
    let comments = visible(comments, viewer, &authors);
    let views = comments.iter().filter_map(|comment| {
        Some(CommentView {
            id: comment.id,
            post_id: comment.post_id,
            author: authors.get(comment.author_id)?.clone(),
            text: comment.text.clone(),
            created_at: comment.id.created_at(),
        })
    });
    Ok(views.collect())
}

/// The comment of this id if the viewer sees it; 404 otherwise.
pub async fn visible_comment(tripod: &Tripod, viewer: Viewer, id: CommentId) -> Result<CommentView, Problem> {
    let found = tripod.shards.find(id).await?;
    let view = present(tripod, viewer, found.into_iter().collect()).await?.pop();
    view.ok_or_else(absent)
}

/// The comments of a post, newest first.
#[utoipa::path(get, path = "/posts/{id}/comments", tag = "comments", operation_id = "listComments",
    params(("id" = PostId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of comments.", body = Page<CommentView>)))]
pub async fn list_comments(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<PostId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<CommentView>>, Problem> {
    let page = query.by_id::<comment::Entity>()?;
    let post = visible_post(&tripod, viewer, id).await?;
    let mut filling = Filling::new(page.limit, page.before);
    while let Some((before, limit)) = filling.wants() {
        let rows = tripod.shards.list::<comment::Entity>(post.id, shard::Page { before, limit }).await?;
        let next = rows.last().map(|row| row.peek().id).filter(|_| rows.len() as u64 == limit);
        let comments = present(&tripod, viewer, rows).await?;
        filling.add(comments.into_iter().map(|comment| (comment.id, comment)), next);
    }
    Ok(Json(filling.into_page(after_id)))
}

/// Comment on a post.
#[utoipa::path(post, path = "/posts/{id}/comments", tag = "comments", operation_id = "createComment",
    params(("id" = PostId, Path)),
    request_body = NewComment, security(("bearer" = [])),
    responses((status = 201, description = "The comment.", body = CommentView)))]
pub async fn create_comment(
    State(tripod): State<Tripod>,
    me: SignedIn,
    slot: Slot,
    Path(id): Path<PostId>,
    Json(new): Json<NewComment>,
) -> Result<(StatusCode, Json<CommentView>), Problem> {
    tripod.limits.take(COMMENTS, Payer::Account(me.0.account)).await?;
    let mut texts = Texts::default();
    let text = texts.take("text", &new.text, TEXT);
    if text.is_empty() {
        texts.refuse("text", "must not be empty");
    }
    texts.check()?;
    let post = visible_post(&tripod, me.viewer(), id).await?.id;
    let author: AccountId = me.account();
    let reserved = slot.reserve::<comment::Entity>(post.shard()).await?;
    let row = comment::ActiveModel {
        post_id: Set(post),
        author_id: Set(author),
        text: Set(text),
        ..Default::default()
    };
    let claimed = insert(&tripod, post, reserved, row).await?;
    let id = match claimed {
        Claimed::New(id) => id,
        Claimed::Before(earlier) if earlier.author_id == author => earlier.id,
        Claimed::Before(_) => {
            return Err(Error::unavailable("the id reserved for a comment was taken by another").into());
        }
    };
    let row = tripod.shards.find(id).await?;
    let view = present(&tripod, me.viewer(), row.into_iter().collect()).await?.pop();
    Ok((StatusCode::CREATED, Json(view.ok_or_else(absent)?)))
}

/// The comment and its post's count: one transaction on the post's shard.
pub async fn insert(
    tripod: &Tripod,
    post: PostId,
    reserved: Option<CommentId>,
    row: comment::ActiveModel,
) -> Result<Claimed<comment::Entity>, Problem> {
    tripod
        .shards
        .write(post.shard(), move |tx| {
            Box::pin(async move {
                let claimed =
                    tx.claim(reserved, |id| comment::ActiveModel { id: Set(id), ..row.clone() }).await?;
                if let Claimed::New(_) = claimed {
                    // A post that was deleted meanwhile takes no comment.
                    count(tx, post, 1).await?.then_some(()).ok_or_else(posts::absent)?;
                }
                Ok(claimed)
            })
        })
        .await
}

/// Delete a comment: yours, or any under your post.
#[utoipa::path(delete, path = "/comments/{id}", tag = "comments", operation_id = "deleteComment",
    params(("id" = CommentId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "It is deleted."),
              (status = 403, description = "It is neither yours nor under your post.", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_comment(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<CommentId>,
) -> Result<StatusCode, Problem> {
    let found = tripod.shards.find(id).await?.ok_or_else(absent)?;
    let authors = People::load(&tripod, me.viewer(), [found.peek().author_id]).await?;
    let comment = found.visible_to(me.viewer(), &authors).ok_or_else(absent)?;
    let post = visible_post(&tripod, me.viewer(), comment.post_id).await;
    let post = post.map_err(|problem| if problem.status == 404 { absent() } else { problem })?;
    if !me.viewer().is(comment.author_id) && !me.viewer().is(post.author_id) {
        return Err(Problem::forbidden("It is neither your comment nor under your post."));
    }
    let post = post.id;
    tripod
        .shards
        .write::<_, Error, _>(id.shard(), move |tx| {
            Box::pin(async move {
                if tx.delete(id).await? {
                    count(tx, post, -1).await?;
                }
                Ok(())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Adds to a post's count of comments; tells whether the post is there.
async fn count(tx: &Tx<'_>, post: PostId, step: i64) -> Result<bool> {
    let count = Expr::col(post::Column::CommentCount).add(step);
    tx.update(post, |post| post.col_expr(post::Column::CommentCount, count)).await
}

fn absent() -> Problem {
    Problem::absent("There is no such comment.")
}
