//! The home feed and explore: posts of the people one follows, and of everybody.

use axum::extract::State;
use tripod::Tripod;
use tripod::access::Viewer;
use tripod::shard;
use tripod::web::{Filling, Json, Page, PageQuery, Problem, Query, SignedIn, after_id};

use crate::posts::post;
use crate::posts::{PostList, PostView, page_of_posts, present};

/// The posts of the people you follow, and your own, newest first.
#[utoipa::path(get, path = "/feed", tag = "feed", operation_id = "getFeed", params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn get_feed(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PostView>>, Problem> {
    let page = query.by_id::<post::Entity>()?;
    let mut filling = Filling::new(page.limit, page.before);
    while let Some((before, limit)) = filling.wants() {
        let slice = tripod.timelines.slice(me.account(), shard::Page { before, limit }).await?;
        let rows = tripod.shards.reachable().get_many(&slice.ids).await?;
        let posts = present(&tripod, me.viewer(), rows).await?;
        filling.add(posts.into_iter().map(|post| (post.id, post)), slice.next);
    }
    Ok(Json(filling.into_page(after_id)))
}

/// Everybody's posts, newest first.
#[utoipa::path(get, path = "/explore", tag = "feed", operation_id = "getExplore", params(PageQuery),
    security((), ("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn get_explore(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<PostView>>, Problem> {
    let page = query.by_id()?;
    page_of_posts(&tripod, viewer, page, PostList::Everybody).await
}
