//! Deleting: the row goes at once and for everybody; a job that commits with it clears up after it.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use tripod::graph::EdgePage;
use tripod::queue::{JobRun, Run};
use tripod::{Error, Job, Result, Tripod};

use super::Photo;
use super::post::{self, PostId};
use crate::accounts::account;
use crate::comments::comment;
use crate::likes::Like;

/// Likes or comments that are erased between two looks at what is left.
const PAGE: u64 = 200;

/// Deletes a post, with its author's count and the job that erases what hung on it.
pub async fn remove(tripod: &Tripod, post: post::Model) -> Result<()> {
    let queue = tripod.queue.clone();
    tripod
        .shards
        .write::<_, Error, _>(post.id.shard(), move |tx| {
            Box::pin(async move {
                let deleted = post::Entity::delete_many()
                    .filter(post::Column::Id.eq(post.id))
                    .exec(tx.connection())
                    .await?;
                // Somebody else was first, and counted.
                if deleted.rows_affected == 0 {
                    return Ok(());
                }
                account::Entity::update_many()
                    .filter(account::Column::Id.eq(post.author_id))
                    .col_expr(account::Column::PostCount, Expr::col(account::Column::PostCount).sub(1))
                    .exec(tx.connection())
                    .await?;
                queue.enqueue(tx, &ErasePost { post: Some(post.id), photos: post.photos.0 }).await?;
                Ok(())
            })
        })
        .await
}

/// Erases what is left of a deleted post: files, comments, likes.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "erase_post", retries = 20)]
pub struct ErasePost {
    post: Option<PostId>,
    photos: Vec<Photo>,
}

impl ErasePost {
    /// Erases only files, such as those of a picture that was replaced.
    pub fn files(photos: &[Photo]) -> Self {
        Self { post: None, photos: photos.to_vec() }
    }
}

impl Run<Tripod> for ErasePost {
    async fn run(&mut self, tripod: &Tripod, _: &JobRun) -> anyhow::Result<()> {
        for photo in &self.photos {
            photo.delete_files(tripod).await?;
        }
        let Some(post) = self.post else { return Ok(()) };
        while erase_comments(tripod, post).await? {}
        loop {
            let likes = tripod.graph.sources::<Like>(post, EdgePage { after: None, limit: PAGE }).await?;
            if likes.is_empty() {
                return Ok(());
            }
            let mut changed = false;
            for like in likes {
                changed |= tripod.graph.disconnect::<Like>(like.id, post).await?;
            }
            anyhow::ensure!(changed, "some likes are taken back already: their far ends' jobs come first");
        }
    }
}

/// Deletes some of a post's comments, so that no write is a long one; tells whether there may be
/// more.
async fn erase_comments(tripod: &Tripod, post: PostId) -> Result<bool> {
    tripod
        .shards
        .write::<_, Error, _>(post.shard(), move |tx| {
            Box::pin(async move {
                let some = comment::Entity::find()
                    .filter(comment::Column::PostId.eq(post))
                    .limit(PAGE)
                    .all(tx.connection())
                    .await?;
                let ids = some.iter().map(|comment| comment.id);
                comment::Entity::delete_many()
                    .filter(comment::Column::Id.is_in(ids))
                    .exec(tx.connection())
                    .await?;
                Ok(!some.is_empty())
            })
        })
        .await
}
