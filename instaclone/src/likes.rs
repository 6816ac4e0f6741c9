//! Likes: an edge from an account to a post, counted on the post's shard.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::graph::Edge;
use tripod::web::{Json, Page, PageQuery, Path, RateLimit, SignedIn};
use tripod::{App, Result};

use crate::entity::account::Author;
use crate::entity::{AccountId, Like, PostId, account, post};
use crate::views;
use crate::visibility;

/// Likes and unlikes per account.
const LIKES: RateLimit = RateLimit::new("like", 500, 3_600);

/// Adds or removes an edge of this kind to a post that the account may see.
pub async fn mark<E>(app: &App, limit: RateLimit, me: AccountId, post: PostId, on: bool) -> Result<()>
where
    E: Edge<From = account::Entity, To = post::Entity>,
{
    app.limits.check(limit, me).await?;
    let post = visibility::post(&app.cached(), Viewer::from(me), post).await?;
    if !on {
        return app.disconnect::<E>(me, post.id).await.map(drop);
    }
    app.connect::<E>(me, post.id).await.map(drop)
}

/// Likes or unlikes a post.
pub async fn set(app: &App, me: AccountId, post: PostId, liked: bool) -> Result<()> {
    mark::<Like>(app, LIKES, me, post, liked).await
}

/// The people who like a post, newest first.
pub async fn list(app: &App, viewer: Viewer, post: PostId, page: PageQuery) -> Result<Page<Author>> {
    let read = app.cached();
    let post = visibility::post(&read, viewer, post).await?.id;
    page.fill(|part| read.sources::<Like>(post, part), |ids| views::authors(app, &read, viewer, ids)).await
}

/// Like a post.
#[utoipa::path(put, path = "/posts/{id}/like", tag = "likes", operation_id = "likePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You like this post.")))]
pub async fn like_post(State(app): State<App>, me: SignedIn, Path(id): Path<PostId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unlike a post.
#[utoipa::path(delete, path = "/posts/{id}/like", tag = "likes", operation_id = "unlikePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not like this post.")))]
pub async fn unlike_post(State(app): State<App>, me: SignedIn, Path(id): Path<PostId>) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people who like a post, newest first.
#[utoipa::path(get, path = "/posts/{id}/likes", tag = "likes", operation_id = "listPostLikes",
    params(("id" = PostId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_post_likes(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<PostId>,
    page: PageQuery,
) -> Result<Json<Page<Author>>> {
    list(&app, viewer, id, page).await.map(Json)
}
