//! Like a post, take it back, and who likes it.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::Tripod;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, Payer, Problem, Query, Rule, SignedIn};

use super::Like;
use crate::accounts::{Author, both_exist};
use crate::follows::{PeopleList, page_of_people};
use crate::posts::post::PostId;
use crate::posts::{absent, visible_post};

/// Likes of one account, and taking them back.
const LIKES: Rule = Rule::new("like", 500, 3_600);

/// Like a post.
#[utoipa::path(put, path = "/posts/{id}/like", tag = "likes", operation_id = "likePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You like it.")))]
pub async fn like_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(LIKES, Payer::Account(me.0.account)).await?;
    let post = visible_post(&tripod, me.viewer(), id).await?;
    tripod.graph.connect::<Like>(me.account(), post.id).await?;
    let gone = tripod.shards.find(post.id).await?.is_none();
    if gone || !both_exist(&tripod, me.account(), post.author_id).await? {
        tripod.graph.disconnect::<Like>(me.account(), post.id).await?;
        return Err(absent());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Take a like back.
#[utoipa::path(delete, path = "/posts/{id}/like", tag = "likes", operation_id = "unlikePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not like it.")))]
pub async fn unlike_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(LIKES, Payer::Account(me.0.account)).await?;
    let post = visible_post(&tripod, me.viewer(), id).await?;
    tripod.graph.disconnect::<Like>(me.account(), post.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Who likes a post, newest first.
#[utoipa::path(get, path = "/posts/{id}/likes", tag = "likes", operation_id = "listPostLikes",
    params(("id" = PostId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_post_likes(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<PostId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Author>>, Problem> {
    let page = query.by_link()?;
    let post = visible_post(&tripod, viewer, id).await?;
    page_of_people(&tripod, viewer, page, PeopleList::Liking(post.id)).await
}
