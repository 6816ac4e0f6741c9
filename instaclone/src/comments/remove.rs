//! Deleting comments. A comment's replies are deleted with it.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tripod::access::Viewer;
use tripod::shard::Tx;
use tripod::web::Once;
use tripod::{App, Error, Result};

use crate::entity::{AccountId, CommentId, PostId, comment};
use crate::visibility::{self, no_comment};

/// Deletes a comment: the account's own, or any under its posts.
pub async fn remove(app: &App, me: AccountId, once: &Once, id: CommentId) -> Result<()> {
    // A repeat finds no comment, and gets the same response as the first request.
    let removal = async {
        let post = removable(app, me, id).await?;
        once.write(id, move |tx| delete(tx, id, post)).await
    };
    once.earlier_or(id, removal).await
}

/// Deletes a comment of an account that is deleted.
pub async fn erase(app: &App, comment: &comment::Model) -> Result<()> {
    let (id, post) = (comment.id, comment.post_id);
    app.write(id, move |tx| delete(tx, id, post)).await
}

async fn delete(tx: Tx, id: CommentId, post: PostId) -> Result<()> {
    // In the order in which a reply locks them. The post may be gone, and the comment be there until its job.
    tx.find_for_update(post).await?;
    let Some(comment) = tx.find_for_update(id).await? else { return Ok(()) };
    let replies = comment::Entity::find().select_only().column(comment::Column::Id);
    let replies = replies.filter(comment::Column::ParentId.eq(id)).into_tuple::<CommentId>();
    let replies = replies.all(tx.connection_without_invalidation()).await?;
    for reply in &replies {
        tx.delete_with_edges(*reply).await?;
    }
    tx.delete_with_edges(id).await?;
    if let Some(parent) = comment.peek().parent_id {
        tx.update(parent, |parent| parent.reply_count -= 1).await?;
    }
    tx.update(post, |post| post.comment_count -= 1 + replies.len() as i64).await?;
    Ok(())
}

/// The post of a comment, if the account may delete the comment.
async fn removable(app: &App, me: AccountId, id: CommentId) -> Result<PostId> {
    let comment = app.primary().find(id).await?.ok_or_else(no_comment)?;
    let (author, post) = (comment.peek().author_id, comment.peek().post_id);
    let post = visibility::post(&app.cached(), Viewer::from(me), post).await;
    let post = post.map_err(|error| if error.is_absent() { no_comment() } else { error })?;
    // The post's author deletes any comment under it, also that of an account which is gone.
    if post.author_id == me {
        return Ok(post.id);
    }
    visibility::comment(&app.primary(), Viewer::from(me), id).await?;
    match author == me {
        true => Ok(post.id),
        false => Err(Error::forbidden("It is neither your comment nor under your post.")),
    }
}
