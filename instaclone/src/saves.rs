//! Saved posts: an edge from an account to a post, visible only to the account.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, RateLimit, SignedIn};
use tripod::{App, Result};

use crate::entity::{AccountId, PostId, Save};
use crate::likes::mark;
use crate::views::{self, PostView};

/// Saves and unsaves per account.
const SAVES: RateLimit = RateLimit::new("save", 500, 3_600);

/// Saves a post, or removes it from the account's saved posts.
pub async fn set(app: &App, me: AccountId, post: PostId, saved: bool) -> Result<()> {
    mark::<Save>(app, SAVES, me, post, saved).await
}

/// The account's saved posts, the latest save first.
pub async fn list(app: &App, me: AccountId, page: PageQuery) -> Result<Page<PostView>> {
    let (read, viewer) = (app.cached(), Viewer::from(me));
    page.fill(|part| read.target_rows::<Save>(me, part), |posts| views::posts(app, &read, viewer, posts))
        .await
}

/// Save a post.
#[utoipa::path(put, path = "/posts/{id}/save", tag = "saves", operation_id = "savePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "The post is saved.")))]
pub async fn save_post(State(app): State<App>, me: SignedIn, Path(id): Path<PostId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a post from your saved posts.
#[utoipa::path(delete, path = "/posts/{id}/save", tag = "saves", operation_id = "unsavePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "The post is not saved.")))]
pub async fn unsave_post(State(app): State<App>, me: SignedIn, Path(id): Path<PostId>) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Your saved posts, the latest save first. Only you see them.
#[utoipa::path(get, path = "/me/saved", tag = "saves", operation_id = "listSavedPosts", params(PageQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn list_saved_posts(
    State(app): State<App>,
    me: SignedIn,
    page: PageQuery,
) -> Result<Json<Page<PostView>>> {
    list(&app, me.id(), page).await.map(Json)
}
