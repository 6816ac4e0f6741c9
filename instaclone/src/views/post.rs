//! Views of posts, with their authors, their counts, and the viewer's likes and saves.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::{Unchecked, Viewer, Visible};
use tripod::shard::Read;
use tripod::web::Rendered;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::account::Author;
use crate::entity::post::{Audience, CommentsFrom, PhotoView, PostParts};
use crate::entity::{Like, PostId, Save, post};
use crate::views::{EntityView, entities};
use crate::visibility::{People, no_post};

/// A post.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Post)]
pub struct PostView {
    pub id: PostId,
    #[schema(value_type = Author)]
    pub author: Rendered<Author>,
    /// May be empty.
    pub caption: String,
    /// The mentions, tags and links in the caption.
    pub entities: Vec<EntityView>,
    /// Where it was taken, in the author's words; null if not given.
    #[schema(required)]
    pub location: Option<String>,
    /// When it was posted.
    #[schema(value_type = DateTime<Utc>)]
    pub created_at: Rendered<DateTime<Utc>>,
    /// The filter's name; null without one.
    #[schema(required)]
    pub filter: Option<String>,
    /// 1 to 10, in order.
    #[schema(value_type = Vec<PhotoView>)]
    pub photos: Rendered<Vec<PhotoView>>,
    pub counts: PostCounts,
    /// Who may see it, of those who may see its author's posts.
    pub audience: Audience,
    /// Who may comment on it, of those who may see it.
    pub comments_from: CommentsFrom,
    /// Whether you like and save it; null if you are not logged in.
    #[schema(required)]
    pub viewer: Option<PostViewer>,
}

/// A post's stored totals, the same for every viewer.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostCounts {
    pub likes: u64,
    pub comments: i64,
}

/// Whether the viewer likes and saves a post.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostViewer {
    pub liked: bool,
    pub saved: bool,
}

/// The view of each post that the viewer may see, in the same order.
pub async fn posts(
    app: &App,
    read: &Read,
    viewer: Viewer,
    posts: Vec<Unchecked<post::Model>>,
) -> Result<Vec<Option<PostView>>> {
    let people = People::of_posts(read, viewer, &posts).await?;
    let posts: Vec<Option<Visible<post::Model>>> =
        posts.into_iter().map(|post| post.visible_to(viewer, &people)).collect();
    let ids: Vec<PostId> = posts.iter().flatten().map(|post| post.id).collect();
    let seen = posts.iter().flatten();
    let mentioned = seen.flat_map(|post| post.view(app, PostParts::of).entities.mentioned());
    let (mentioned, likes, liked, saved) = tokio::try_join!(
        People::load(read, viewer, mentioned),
        read.source_counts::<Like>(&ids),
        read.targets_among::<Like>(viewer.id(), &ids),
        read.targets_among::<Save>(viewer.id(), &ids),
    )?;
    let view = |post: Option<Visible<post::Model>>| {
        let post = post?;
        let parts = post.view(app, PostParts::of);
        Some(PostView {
            id: post.id,
            author: people.author(app, post.author_id)?.clone(),
            caption: post.caption.clone(),
            entities: entities(app, &parts.entities, &mentioned),
            location: post.location.clone(),
            created_at: parts.created_at.clone(),
            filter: None,
            photos: parts.photos.clone(),
            counts: PostCounts {
                likes: likes.get(&post.id).copied().unwrap_or_default(),
                comments: post.comment_count,
            },
            audience: post.audience,
            comments_from: post.comments_from,
            viewer: (viewer != Viewer::Anonymous)
                .then(|| PostViewer { liked: liked.contains(&post.id), saved: saved.contains(&post.id) }),
        })
    };
    Ok(posts.into_iter().map(view).collect())
}

/// The post with this id, if the viewer may see it.
pub async fn post(app: &App, read: &Read, viewer: Viewer, id: PostId) -> Result<PostView> {
    let found = read.find(id).await?.ok_or_else(no_post)?;
    posts(app, read, viewer, vec![found]).await?.pop().flatten().ok_or_else(no_post)
}
