//! The API's operations on posts.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use tripod::access::Viewer;
use tripod::web::{
    IdempotencyKey, Json, Keyed, MultipartForm, Once, Page, PageQuery, Path, Problem, SignedIn, text_field,
};
use tripod::{App, Result};
use utoipa::ToSchema;

use super::draft::{CAPTION, NewPost};
use super::{Changed, Uploader, of_author, publish, remove_own};
use crate::entity::post::CommentsFrom;
use crate::entity::{AccountId, PostId};
use crate::posts;
use crate::views::{self, PostView};

/// Post photos.
#[utoipa::path(post, path = "/posts", tag = "posts", operation_id = "createPost", security(("bearer" = [])),
    params(IdempotencyKey), request_body(content = NewPost, content_type = "multipart/form-data"),
    responses((status = 201, description = "The post.", body = PostView)))]
pub async fn create_post(
    State(app): State<App>,
    Uploader(me): Uploader,
    Keyed(once, MultipartForm(new)): Keyed<MultipartForm<NewPost>>,
) -> Result<(StatusCode, Json<PostView>)> {
    let post = publish(&app, me.id(), &once, &new).await?;
    Ok((StatusCode::CREATED, Json(views::post(&app, &app.primary(), me.viewer(), post).await?)))
}

/// A post.
#[utoipa::path(get, path = "/posts/{id}", tag = "posts", operation_id = "getPost",
    params(("id" = PostId, Path)), security((), ("bearer" = [])),
    responses((status = 200, description = "The post.", body = PostView)))]
pub async fn get_post(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<PostId>,
) -> Result<Json<PostView>> {
    views::post(&app, &app.cached(), viewer, id).await.map(Json)
}

/// The changes; omitted fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PostChange {
    /// At most 2,200 characters.
    #[schema(max_length = 2200)]
    pub caption: Option<String>,
    /// Who may comment on it.
    pub comments_from: Option<CommentsFrom>,
}

impl PostChange {
    /// The caption in its stored form, if it is to be changed.
    pub fn checked(&self) -> Result<Option<String>> {
        self.caption.as_deref().map(|caption| text_field("caption", caption, 0..=CAPTION)).transpose()
    }
}

/// Change your post.
#[utoipa::path(patch, path = "/posts/{id}", tag = "posts", operation_id = "updatePost",
    params(("id" = PostId, Path), IdempotencyKey), request_body = PostChange, security(("bearer" = [])),
    responses((status = 200, description = "The updated post.", body = PostView),
              (status = 403, description = "The post is not yours.", body = Problem, content_type = "application/problem+json")))]
pub async fn update_post(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<PostId>,
    Keyed(once, Json(change)): Keyed<Json<PostChange>>,
) -> Result<Json<PostView>> {
    let (caption, comments_from) = (change.checked()?, change.comments_from);
    let Changed { caption, comments_from } =
        posts::change(&app, me.id(), &once, id, caption, comments_from).await?;
    let read = app.primary();
    let mut post = views::post(&app, &read, me.viewer(), id).await?;
    if post.caption != caption {
        // It has changed again since, and this request is a repeated one.
        post.entities = views::entities_of(&app, &read, me.viewer(), &caption).await?;
    }
    Ok(Json(PostView { caption, comments_from, ..post }))
}

/// Delete your post.
#[utoipa::path(delete, path = "/posts/{id}", tag = "posts", operation_id = "deletePost",
    params(("id" = PostId, Path), IdempotencyKey), security(("bearer" = [])),
    responses((status = 204, description = "The post is deleted."),
              (status = 403, description = "The post is not yours.", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_post(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<PostId>,
    once: Once,
) -> Result<StatusCode> {
    remove_own(&app, me.id(), &once, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A person's posts, newest first.
#[utoipa::path(get, path = "/users/{id}/posts", tag = "posts", operation_id = "listUserPosts",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn list_user_posts(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    page: PageQuery,
) -> Result<Json<Page<PostView>>> {
    of_author(&app, viewer, id, page).await.map(Json)
}
