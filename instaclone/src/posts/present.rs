//! Posts as a viewer sees them: with their authors, counts, and what the viewer did with them.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::{Unchecked, Viewer, visible};
use tripod::graph::Edge;
use tripod::{Result, Tripod};
use utoipa::ToSchema;

use super::photo::PhotoView;
use super::post::{self, PostId};
use crate::accounts::{Author, People, account};
use crate::likes::Like;
use crate::saves::Save;

/// A post.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Post)]
pub struct PostView {
    pub id: PostId,
    pub author: Author,
    /// May be empty.
    pub caption: String,
    /// Where it was taken, in the author's words; null when they did not say.
    #[schema(required)]
    pub location: Option<String>,
    /// When it was posted.
    pub created_at: DateTime<Utc>,
    /// The filter's name; null without one.
    #[schema(required)]
    pub filter: Option<String>,
    /// 1 to 10, in order.
    pub photos: Vec<PhotoView>,
    pub counts: PostCounts,
    /// What you did with it; null when you are not logged in.
    #[schema(required)]
    pub viewer: Option<PostViewer>,
}

/// A post's stored totals, the same for every viewer.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostCounts {
    pub likes: u64,
    pub comments: i64,
}

/// What the viewer did with a post.
#[derive(Debug, Serialize, ToSchema)]
pub struct PostViewer {
    pub liked: bool,
    pub saved: bool,
}

/// Those of `posts` that the viewer sees, in their order. A fixed number of queries, however many
/// posts there are.
pub async fn present(
    tripod: &Tripod,
    viewer: Viewer,
    posts: Vec<Unchecked<post::Model>>,
) -> Result<Vec<PostView>> {
    let ids: Vec<PostId> = posts.iter().map(|post| post.peek().id).collect();
    let (authors, likes, liked, saved) = tokio::try_join!(
        People::load(tripod, viewer, posts.iter().map(|post| post.peek().author_id)),
        tripod.graph.source_counts::<Like>(&ids),
        done_with::<Like>(tripod, viewer, &ids),
        done_with::<Save>(tripod, viewer, &ids),
    )?;
    let posts = visible(posts, viewer, &authors);
    let views = posts.iter().filter_map(|post| {
        Some(PostView {
            id: post.id,
            author: authors.get(post.author_id)?.clone(),
            caption: post.caption.clone(),
            location: post.location.clone(),
            created_at: post.id.created_at(),
            filter: None,
            photos: post.photos.0.iter().map(|photo| photo.view(tripod)).collect(),
            counts: PostCounts {
                likes: likes.get(&post.id).copied().unwrap_or_default(),
                comments: post.comment_count,
            },
            viewer: (viewer != Viewer::Anonymous)
                .then(|| PostViewer { liked: liked.contains(&post.id), saved: saved.contains(&post.id) }),
        })
    });
    Ok(views.collect())
}

/// Those of `posts` that the viewer has an edge of this kind to.
async fn done_with<E>(tripod: &Tripod, viewer: Viewer, posts: &[PostId]) -> Result<HashSet<PostId>>
where
    E: Edge<From = account::Entity, To = post::Entity>,
{
    match viewer.id() {
        Some(me) => tripod.graph.targets_among::<E>(me, posts).await,
        None => Ok(HashSet::new()),
    }
}
