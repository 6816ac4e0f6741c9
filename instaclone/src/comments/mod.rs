//! Comments: stored and counted on their post's shard. A comment takes replies, which take none.

mod handlers;
mod remove;

use sea_orm::ActiveValue::Set;
use sea_orm::ColumnTrait;
use serde::Deserialize;
use tripod::access::Viewer;
use tripod::shard::Read;
use tripod::web::{Once, Page, PageQuery, RateLimit, text_field};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

use crate::entity::post::CommentsFrom;
use crate::entity::{AccountId, CommentId, CommentLike, Follow, PostId, comment};
use crate::mentions;
use crate::views::{self, CommentView};
use crate::visibility::{self, no_comment, no_post};

pub use handlers::*;
pub use remove::{erase, remove};

/// Maximum characters in a comment.
const TEXT: usize = 2_200;
/// Maximum replies to a comment, which are all deleted with it.
const MOST_REPLIES: i64 = 1_000;
/// Likes and unlikes of comments per account.
const LIKES: RateLimit = RateLimit::new("comment_like", 500, 3_600);
/// Comments per account.
const COMMENTS: RateLimit = RateLimit::new("comment", 120, 3_600);

/// A new comment.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewComment {
    /// 1 to 2,200 characters.
    #[schema(min_length = 1, max_length = 2200)]
    pub text: String,
    /// The comment of the same post to reply to. It must not be a reply itself.
    #[serde(default)]
    pub parent_id: Option<CommentId>,
}

/// Comments on a post that the account may see. The comment and the counts of its post and of what it replies
/// to are one transaction.
pub async fn add(app: &App, me: AccountId, once: &Once, post: PostId, new: &NewComment) -> Result<CommentId> {
    app.limits.check(COMMENTS, me).await?;
    let text = text_field("text", &new.text, 1..=TEXT)?;
    let read = app.cached();
    let post = visibility::post(&read, Viewer::from(me), post).await?;
    if !may_comment(&read, Viewer::from(me), post.author_id, post.comments_from).await? {
        return Err(Error::forbidden("You may not comment on this post."));
    }
    let (post, parent) = (post.id, new.parent_id);
    if let Some(parent) = parent {
        check_parent(&read, Viewer::from(me), post, parent).await?;
    }
    let row = comment::ActiveModel {
        post_id: Set(post),
        author_id: Set(me),
        entities: Set(Some(mentions::entities_of(app, &text).await?)),
        text: Set(text),
        parent_id: Set(parent),
        reply_count: Set(0),
        ..Default::default()
    };
    let add = once.write(post, move |tx| async move {
        // A post that was deleted meanwhile accepts no comment.
        tx.update(post, |post| post.comment_count += 1).await?.ok_or_else(no_post)?;
        if let Some(parent) = parent {
            let parent = tx.update(parent, |parent| parent.reply_count += 1).await?.ok_or_else(no_parent)?;
            if parent.reply_count > MOST_REPLIES {
                let detail = format!("has {MOST_REPLIES} replies already, and takes no more");
                return Err(Error::invalid_field("parent_id", detail));
            }
        }
        tx.insert(row).await
    });
    add.await
}

/// Checks that a comment can be replied to.
async fn check_parent(read: &Read, viewer: Viewer, post: PostId, parent: CommentId) -> Result<()> {
    let found = visibility::comment(read, viewer, parent).await;
    let parent = found.map_err(|error| if error.is_absent() { no_parent() } else { error })?;
    if parent.post_id != post {
        return Err(no_parent());
    }
    if parent.parent_id.is_some() {
        return Err(Error::invalid_field(
            "parent_id",
            "is a reply itself; send the comment that it replies to",
        ));
    }
    Ok(())
}

fn no_parent() -> Error {
    Error::invalid_field("parent_id", "is no comment of this post")
}

/// Whether a viewer who may see a post may comment on it.
pub async fn may_comment(read: &Read, viewer: Viewer, author: AccountId, from: CommentsFrom) -> Result<bool> {
    Ok(match from {
        CommentsFrom::Everyone => true,
        CommentsFrom::Followers => {
            viewer.is(author) || !read.targets_among::<Follow>(viewer.id(), &[author]).await?.is_empty()
        }
        CommentsFrom::Nobody => false,
    })
}

/// The comment with this id, if the viewer may see it.
pub async fn find(app: &App, viewer: Viewer, id: CommentId) -> Result<CommentView> {
    let read = app.primary();
    let found = read.find(id).await?.ok_or_else(no_comment)?;
    views::comments(app, &read, viewer, vec![found]).await?.pop().flatten().ok_or_else(no_comment)
}

/// The comments of a post that reply to no other, newest first.
pub async fn list(app: &App, viewer: Viewer, post: PostId, page: PageQuery) -> Result<Page<CommentView>> {
    let read = app.cached();
    let post = visibility::post(&read, viewer, post).await?.id;
    page.fill(
        |part| read.list_where::<comment::Entity>(post, comment::Column::ParentId.is_null(), part),
        |comments| views::comments(app, &read, viewer, comments),
    )
    .await
}

/// The replies to a comment, newest first.
pub async fn replies(app: &App, viewer: Viewer, of: CommentId, page: PageQuery) -> Result<Page<CommentView>> {
    let read = app.cached();
    let post = visibility::comment(&read, viewer, of).await?.post_id;
    page.fill(
        |part| read.list_where::<comment::Entity>(post, comment::Column::ParentId.eq(of), part),
        |comments| views::comments(app, &read, viewer, comments),
    )
    .await
}

/// Likes or unlikes a comment.
pub async fn set_liked(app: &App, me: AccountId, id: CommentId, liked: bool) -> Result<()> {
    app.limits.check(LIKES, me).await?;
    let id = visibility::comment(&app.cached(), Viewer::from(me), id).await?.id;
    match liked {
        true => app.connect::<CommentLike>(me, id).await.map(drop),
        false => app.disconnect::<CommentLike>(me, id).await.map(drop),
    }
}
