//! Views of comments, with their authors.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::{Unchecked, Viewer};
use tripod::shard::Read;
use tripod::web::Rendered;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::account::Author;
use crate::entity::{CommentId, PostId, comment};
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
    /// When it was written.
    pub created_at: DateTime<Utc>,
}

/// The view of each comment that the viewer may see, in the same order.
pub async fn comments(
    app: &App,
    read: &Read,
    viewer: Viewer,
    comments: Vec<Unchecked<comment::Model>>,
) -> Result<Vec<Option<CommentView>>> {
    let people = People::load(read, viewer, comments.iter().map(|comment| comment.peek().author_id)).await?;
    let view = |comment: Unchecked<comment::Model>| {
        let comment = comment.visible_to(viewer, &people)?;
        Some(CommentView {
            id: comment.id,
            post_id: comment.post_id,
            author: people.author(app, comment.author_id)?.clone(),
            text: comment.text.clone(),
            created_at: comment.id.created_at(),
        })
    };
    Ok(comments.into_iter().map(view).collect())
}
