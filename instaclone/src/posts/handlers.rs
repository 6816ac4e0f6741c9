//! Look at a post, change its caption, delete it; and the posts of a person.

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::sea_query::Expr;
use serde::Deserialize;
use tripod::access::Viewer;
use tripod::shard;
use tripod::web::{Filling, Json, Page, PageQuery, Path, Problem, Query, SignedIn, after_id};
use tripod::{Error, Tripod};
use utoipa::ToSchema;

use super::draft::CAPTION;
use super::post::{self, PostId};
use super::{PostView, present, remove};
use crate::accounts::account::AccountId;
use crate::accounts::{People, existing};
use crate::text::Texts;

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct PostChange {
    /// At most 2,200 characters.
    #[schema(max_length = 2200)]
    pub caption: Option<String>,
}

/// The answer about a post that is not there, or not for this viewer.
pub fn absent() -> Problem {
    Problem::absent("There is no such post.")
}

/// The post of this id if the viewer sees it; 404 otherwise.
pub async fn visible_post(
    tripod: &Tripod,
    viewer: Viewer,
    id: PostId,
) -> Result<tripod::access::Visible<post::Model>, Problem> {
    let found = tripod.shards.get(id).await?.ok_or_else(absent)?;
    let author = People::load(tripod, viewer, [found.peek().author_id]).await?;
    found.visible_to(viewer, &author).ok_or_else(absent)
}

/// A post.
#[utoipa::path(get, path = "/posts/{id}", tag = "posts", operation_id = "getPost",
    params(("id" = PostId, Path)), security((), ("bearer" = [])),
    responses((status = 200, description = "The post.", body = PostView)))]
pub async fn get_post(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<PostId>,
) -> Result<Json<PostView>, Problem> {
    let found = tripod.shards.get(id).await?;
    let view = present(&tripod, viewer, found.into_iter().collect()).await?.pop();
    view.map(Json).ok_or_else(absent)
}

/// Change your post's caption.
#[utoipa::path(patch, path = "/posts/{id}", tag = "posts", operation_id = "updatePost",
    params(("id" = PostId, Path)), request_body = PostChange, security(("bearer" = [])),
    responses((status = 200, description = "The post as it is now.", body = PostView),
              (status = 403, description = "It is not your post.", body = Problem, content_type = "application/problem+json")))]
pub async fn update_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
    Json(change): Json<PostChange>,
) -> Result<Json<PostView>, Problem> {
    let mut texts = Texts::default();
    let caption = change.caption.map(|text| texts.take("caption", &text, CAPTION));
    texts.check()?;
    own_post(&tripod, &me, id).await?;
    if let Some(caption) = caption {
        tripod
            .shards
            .write::<_, Error, _>(id.shard(), move |tx| {
                Box::pin(async move {
                    tx.update(id, |post| post.col_expr(post::Column::Caption, Expr::value(caption))).await
                })
            })
            .await?;
    }
    let found = tripod.shards.find(id).await?;
    let view = present(&tripod, me.viewer(), found.into_iter().collect()).await?.pop();
    view.map(Json).ok_or_else(absent)
}

/// Delete your post.
#[utoipa::path(delete, path = "/posts/{id}", tag = "posts", operation_id = "deletePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "It is deleted."),
              (status = 403, description = "It is not your post.", body = Problem, content_type = "application/problem+json")))]
pub async fn delete_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
) -> Result<StatusCode, Problem> {
    let post = own_post(&tripod, &me, id).await?;
    remove(&tripod, post).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn own_post(tripod: &Tripod, me: &SignedIn, id: PostId) -> Result<post::Model, Problem> {
    let post = visible_post(tripod, me.viewer(), id).await?;
    if me.viewer().is(post.author_id) {
        Ok((*post).clone())
    } else {
        Err(Problem::forbidden("It is not your post."))
    }
}

/// A person's posts, newest first.
#[utoipa::path(get, path = "/users/{id}/posts", tag = "posts", operation_id = "listUserPosts",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn list_user_posts(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PostView>>, Problem> {
    let page = query.by_id()?;
    let them = existing(&tripod, viewer, id).await?;
    page_of_posts(&tripod, viewer, page, PostList::Of(them)).await
}

/// A list of posts, newest first.
#[derive(Clone, Copy)]
pub enum PostList {
    /// Those of one person.
    Of(AccountId),
    /// Those of everybody.
    Everybody,
}

/// A page of those posts of a list that the viewer sees.
pub async fn page_of_posts(
    tripod: &Tripod,
    viewer: Viewer,
    page: shard::Page<post::Entity>,
    list: PostList,
) -> Result<Json<Page<PostView>>, Problem> {
    let mut filling = Filling::new(page.limit, page.before);
    while let Some((before, limit)) = filling.wants() {
        let page = shard::Page { before, limit };
        let rows = match list {
            PostList::Of(person) => tripod.shards.list(person, page).await?,
            PostList::Everybody => tripod.shards.everywhere().newest(page).await?,
        };
        let next = rows.last().map(|row| row.peek().id).filter(|_| rows.len() as u64 == limit);
        let posts = present(tripod, viewer, rows).await?;
        filling.add(posts.into_iter().map(|post| (post.id, post)), next);
    }
    Ok(Json(filling.into_page(after_id)))
}
