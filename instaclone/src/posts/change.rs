//! Changing and deleting a post. The row is deleted at once for everyone; jobs that
//! commit with it delete the rest.

use serde::{Deserialize, Serialize};
use tripod::shard::Tx;
use tripod::web::Once;
use tripod::{App, Error, Result};

use crate::entity::post::CommentsFrom;
use crate::entity::{AccountId, PostId, comment, post};
use crate::mentions;
use crate::visibility::{self, no_post};

/// The post with this id, if it belongs to the account.
async fn own(app: &App, me: AccountId, id: PostId) -> Result<post::Model> {
    let viewer = tripod::access::Viewer::from(me);
    let post = visibility::post(&app.cached(), viewer, id).await?;
    match post.author_id == me {
        true => Ok((*post).clone()),
        false => Err(Error::forbidden("It is not your post.")),
    }
}

/// What a change of a post can change, as it is afterwards.
#[derive(Serialize, Deserialize)]
pub struct Changed {
    pub caption: String,
    pub comments_from: CommentsFrom,
}

/// Changes the account's own post.
pub async fn change(
    app: &App,
    me: AccountId,
    once: &Once,
    id: PostId,
    caption: Option<String>,
    comments_from: Option<CommentsFrom>,
) -> Result<Changed> {
    own(app, me, id).await?;
    let entities = match &caption {
        Some(caption) => Some(mentions::entities_of(app, caption).await?),
        None => None,
    };
    let change = once.write(id, move |tx| async move {
        let changed = tx.update(id, |post| {
            post.caption = caption.unwrap_or(std::mem::take(&mut post.caption));
            post.entities = entities.or(post.entities.take());
            post.comments_from = comments_from.unwrap_or(post.comments_from);
        });
        let post = changed.await?.ok_or_else(no_post)?;
        Ok(Changed { caption: post.caption, comments_from: post.comments_from })
    });
    change.await
}

/// Deletes the account's own post.
pub async fn remove_own(app: &App, me: AccountId, once: &Once, id: PostId) -> Result<()> {
    // A repeat finds no post, and gets the first request's response.
    let removal = async {
        let post = own(app, me, id).await?;
        once.write(id, move |tx| remove_with_traces(tx, post)).await
    };
    once.earlier_or(id, removal).await
}

/// Deletes a post, updates its author's count, and enqueues the jobs that erase its data.
pub async fn remove(app: &App, post: post::Model) -> Result<()> {
    app.write(post.id, move |tx| remove_with_traces(tx, post)).await
}

async fn remove_with_traces(tx: Tx, post: post::Model) -> Result<()> {
    // Already deleted, and counted, by another request.
    if !tx.delete_with_edges(post.id).await? {
        return Ok(());
    }
    tx.update(post.author_id, |author| author.post_count -= 1).await?;
    tx.delete_files(post.photos.keys()?).await?;
    tx.delete_owned::<comment::Entity>(post.id).await
}
