//! Views of comments, with their authors.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::{Unchecked, Viewer, Visible};
use tripod::shard::Read;
use tripod::web::Rendered;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::account::Author;
use crate::entity::entities::Entities;
use crate::entity::{CommentId, CommentLike, PostId, comment};
use crate::views::{EntityView, entities};
use crate::visibility::People;

/// A comment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Comment)]
pub struct CommentView {
    pub id: CommentId,
    pub post_id: PostId,
    #[schema(value_type = Author)]
    pub author: Rendered<Author>,
    pub text: String,
    /// The mentions, tags and links in the text.
    pub entities: Vec<EntityView>,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// The comment that it replies to; null if it is no reply.
    #[schema(required)]
    pub parent_id: Option<CommentId>,
    pub counts: CommentCounts,
    /// Whether you like it; null if you are not logged in.
    #[schema(required)]
    pub viewer: Option<CommentViewer>,
}

/// A comment's stored totals, the same for every viewer.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentCounts {
    pub likes: u64,
    pub replies: i64,
}

/// Whether the viewer likes a comment.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommentViewer {
    pub liked: bool,
}

/// The view of each comment that the viewer may see, in the same order.
pub async fn comments(
    app: &App,
    read: &Read,
    viewer: Viewer,
    comments: Vec<Unchecked<comment::Model>>,
) -> Result<Vec<Option<CommentView>>> {
    let people = People::load(read, viewer, comments.iter().map(|comment| comment.peek().author_id)).await?;
    let comments: Vec<Option<Visible<comment::Model>>> =
        comments.into_iter().map(|comment| comment.visible_to(viewer, &people)).collect();
    let ids: Vec<CommentId> = comments.iter().flatten().map(|comment| comment.id).collect();
    let entities_of = |comment: &comment::Model| Entities::stored(comment.entities.as_ref(), &comment.text);
    let stored: Vec<Entities> =
        comments.iter().map(|comment| comment.as_deref().map(entities_of).unwrap_or_default()).collect();
    let (mentioned, likes, liked) = tokio::try_join!(
        People::load(read, viewer, stored.iter().flat_map(Entities::mentioned)),
        read.source_counts::<CommentLike>(&ids),
        read.targets_among::<CommentLike>(viewer.id(), &ids),
    )?;
    let view = |(comment, stored): (Option<Visible<comment::Model>>, Entities)| {
        let comment = comment?;
        Some(CommentView {
            id: comment.id,
            post_id: comment.post_id,
            author: people.author(app, comment.author_id)?.clone(),
            text: comment.text.clone(),
            entities: entities(app, &stored, &mentioned),
            created_at: comment.id.created_at(),
            parent_id: comment.parent_id,
            counts: CommentCounts {
                likes: likes.get(&comment.id).copied().unwrap_or_default(),
                replies: comment.reply_count,
            },
            viewer: (viewer != Viewer::Anonymous)
                .then(|| CommentViewer { liked: liked.contains(&comment.id) }),
        })
    };
    Ok(comments.into_iter().zip(stored).map(view).collect())
}
