//! Save a post, take it back, and one's own list.

use std::collections::HashMap;

use axum::extract::State;
use axum::http::StatusCode;
use tripod::Tripod;
use tripod::graph::EdgePage;
use tripod::web::{Filling, Json, Page, PageQuery, Path, Payer, Problem, Query, Rule, SignedIn, after_link};

use super::Save;
use crate::accounts::account::AccountId;
use crate::accounts::both_exist;
use crate::posts::post::PostId;
use crate::posts::{PostView, absent, present, visible_post};

/// Saves of one account, and taking them back.
const SAVES: Rule = Rule::new("save", 500, 3_600);

/// Save a post.
#[utoipa::path(put, path = "/posts/{id}/save", tag = "saves", operation_id = "savePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "It is among your saved posts.")))]
pub async fn save_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(SAVES, Payer::Account(me.0.account)).await?;
    let post = visible_post(&tripod, me.viewer(), id).await?;
    tripod.graph.connect::<Save>(me.account(), post.id).await?;
    let gone = tripod.shards.find(post.id).await?.is_none();
    if gone || !both_exist(&tripod, me.account(), post.author_id).await? {
        tripod.graph.disconnect::<Save>(me.account(), post.id).await?;
        return Err(absent());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Take a post out of your saved ones.
#[utoipa::path(delete, path = "/posts/{id}/save", tag = "saves", operation_id = "unsavePost",
    params(("id" = PostId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "It is not among your saved posts.")))]
pub async fn unsave_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<PostId>,
) -> Result<StatusCode, Problem> {
    tripod.limits.take(SAVES, Payer::Account(me.0.account)).await?;
    let post = visible_post(&tripod, me.viewer(), id).await?;
    tripod.graph.disconnect::<Save>(me.account(), post.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Your saved posts, the last one saved first. Only you see them.
#[utoipa::path(get, path = "/me/saved", tag = "saves", operation_id = "listSavedPosts", params(PageQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn list_saved_posts(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PostView>>, Problem> {
    let page = query.by_link()?;
    let account: AccountId = me.account();
    let mut filling = Filling::new(page.limit, page.after);
    while let Some((after, limit)) = filling.wants() {
        let links = tripod.graph.targets::<Save>(account, EdgePage { after, limit }).await?;
        let ids: Vec<PostId> = links.iter().map(|link| link.id).collect();
        let saved_at: HashMap<PostId, i64> = links.iter().map(|link| (link.id, link.version)).collect();
        let posts = present(&tripod, me.viewer(), tripod.shards.get_many(&ids).await?).await?;
        let next = links.last().map(|last| (last.version, last.id.raw()));
        let posts = posts.into_iter().map(|post| ((saved_at[&post.id], post.id.raw()), post));
        filling.add(posts, next.filter(|_| links.len() as u64 == limit));
    }
    Ok(Json(filling.into_page(after_link)))
}
