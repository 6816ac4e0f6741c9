//! Tags: the posts of a tag, tags by their beginning, and tags that rise.

use axum::extract::State;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer, visible};
use tripod::shard::{Keyset, Read};
use tripod::web::{Json, Page, PageQuery, Path, Query, tag_name};
use tripod::{App, Error, Index, Result};
use utoipa::{IntoParams, ToSchema};

use crate::entity::entities::Entities;
use crate::entity::post::{self, Audience};
use crate::explore;
use crate::views::{self, PostView};
use crate::visibility::People;

/// Tags that are found at once.
const MOST: u64 = 10;
/// The newest posts of a tag of which the viewer may see at least one, or the tag is not shown.
const NEWEST: u64 = 5;

// ANCHOR: index
/// Posts by the tags of their captions.
#[derive(Index)]
#[index(name = "post_by_tag", of = post::Entity, keys = tags, prefixes = true)]
pub struct PostByTag;

/// The tags of a post. One for close friends is found by none: its tags and their counts would tell of it.
pub fn tags(post: &post::Model) -> Vec<String> {
    if post.audience != Audience::Everyone {
        return Vec::new();
    }
    Entities::stored(post.entities.as_ref(), &post.caption).tags().map(str::to_owned).collect()
}
// ANCHOR_END: index

/// A tag.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tag {
    /// Its name, without the `#`.
    pub name: String,
    /// How many posts have it: a stored total, the same for every viewer.
    pub posts: u64,
}

// ANCHOR: posts
/// The posts of a tag, newest first.
pub async fn posts(app: &App, viewer: Viewer, tag: &str, page: PageQuery) -> Result<Page<PostView>> {
    let tag = tag_name(tag).ok_or_else(|| Error::invalid_field("tag", "is not the name of a tag"))?;
    let read = app.cached().available();
    page.fill(|part| read.indexed::<PostByTag>(&tag, part), |posts| views::posts(app, &read, viewer, posts))
        .await
}
// ANCHOR_END: posts

/// The tags that begin with a text, the most used first.
pub async fn beginning_with(app: &App, viewer: Viewer, text: &str) -> Result<Vec<Tag>> {
    let Some(beginning) = tag_name(text) else { return Ok(Vec::new()) };
    let read = app.cached().available();
    let keys = read.index_keys::<PostByTag>(&beginning, MOST).await?;
    let tags = keys.into_iter().map(|key| Tag { name: key.key, posts: key.count });
    seen(&read, viewer, tags.collect()).await
}

/// The tags that are used more now than before.
pub async fn rising(app: &App, viewer: Viewer) -> Result<Vec<Tag>> {
    let read = app.cached().available();
    let Some(ranking) = explore::latest(&read).await? else { return Ok(Vec::new()) };
    let names: Vec<&str> = ranking.rising().collect();
    let counts = read.index_counts::<PostByTag>(&names).await?;
    let tags =
        names.into_iter().filter_map(|name| Some(Tag { name: name.to_owned(), posts: *counts.get(name)? }));
    seen(&read, viewer, tags.collect()).await
}

/// Those of these tags that have a post which the viewer may see, among the newest: others would tell of posts
/// that are hidden.
async fn seen(read: &Read, viewer: Viewer, tags: Vec<Tag>) -> Result<Vec<Tag>> {
    let newest = tags.iter().map(|tag| read.indexed::<PostByTag>(&tag.name, Keyset::newest(NEWEST)));
    let newest: Vec<Vec<Unchecked<post::Model>>> =
        try_join_all(newest).await?.into_iter().map(|rows| rows.into_items()).collect();
    let all: Vec<Unchecked<post::Model>> = newest.iter().flatten().cloned().collect();
    let people = People::of_posts(read, viewer, &all).await?;
    let seen = tags.into_iter().zip(newest);
    let seen = seen.filter(|(_, newest)| !visible(newest.clone(), viewer, &people).is_empty());
    Ok(seen.map(|(tag, _)| tag).collect())
}

/// The posts with a tag, newest first.
#[utoipa::path(get, path = "/tags/{tag}/posts", tag = "search", operation_id = "listTagPosts",
    params(("tag" = String, Path, min_length = 1), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of posts.", body = Page<PostView>)))]
pub async fn list_tag_posts(
    State(app): State<App>,
    viewer: Viewer,
    Path(tag): Path<String>,
    page: PageQuery,
) -> Result<Json<Page<PostView>>> {
    posts(&app, viewer, &tag, page).await.map(Json)
}

/// The beginning of a tag.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TagQuery {
    /// With or without the `#`. Of a single letter of ASCII, only the tag that is this letter is found.
    q: String,
}

/// Tags by their beginning, the most used first.
#[utoipa::path(get, path = "/tags", tag = "search", operation_id = "findTags", params(TagQuery),
    security((), ("bearer" = [])),
    responses((status = 200, description = "At most 10 tags.", body = Vec<Tag>)))]
pub async fn find_tags(
    State(app): State<App>,
    viewer: Viewer,
    Query(query): Query<TagQuery>,
) -> Result<Json<Vec<Tag>>> {
    beginning_with(&app, viewer, &query.q).await.map(Json)
}

/// The tags that rise: those used most by the newest posts, measured against how often they are used at all.
#[utoipa::path(get, path = "/tags/rising", tag = "search", operation_id = "listRisingTags",
    security((), ("bearer" = [])),
    responses((status = 200, description = "At most 20 tags.", body = Vec<Tag>)))]
pub async fn list_rising_tags(State(app): State<App>, viewer: Viewer) -> Result<Json<Vec<Tag>>> {
    rising(&app, viewer).await.map(Json)
}
