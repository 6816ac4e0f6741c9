//! Deleting: the row goes at once and for everybody; a job that commits with it clears up after it.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use tripod::graph::{Edge, EdgePage};
use tripod::queue::{JobRun, Run};
use tripod::{Error, Job, Result, Tripod};

use super::Photo;
use super::post::{self, PostId};
use crate::accounts::account;
use crate::comments::comment;
use crate::likes::Like;
use crate::saves::Save;

/// Likes, saves or comments that are erased between two looks at what is left.
const PAGE: u64 = 200;

/// Deletes a post, with its author's count and the job that erases what hung on it.
pub async fn remove(tripod: &Tripod, post: post::Model) -> Result<()> {
    let queue = tripod.queue.clone();
    tripod
        .shards
        .write::<_, Error, _>(post.id.shard(), move |tx| {
            Box::pin(async move {
                // Or somebody else was first, and counted.
                if !tx.delete(post.id).await? {
                    return Ok(());
                }
                let fewer = Expr::col(account::Column::PostCount).sub(1);
                tx.update(post.author_id, |author| author.col_expr(account::Column::PostCount, fewer))
                    .await?;
                queue.enqueue(tx, &ErasePost { post: Some(post.id), photos: post.photos.0 }).await?;
                Ok(())
            })
        })
        .await
}

/// Erases what is left of a deleted post: files, comments, likes, saves.
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
        erase_edges::<Like>(tripod, post).await?;
        erase_edges::<Save>(tripod, post).await
    }
}

/// Removes every edge of one kind from accounts to a post.
async fn erase_edges<E>(tripod: &Tripod, post: PostId) -> anyhow::Result<()>
where
    E: Edge<From = account::Entity, To = post::Entity>,
{
    loop {
        let edges = tripod.graph.sources::<E>(post, EdgePage { after: None, limit: PAGE }).await?;
        if edges.is_empty() {
            return Ok(());
        }
        let mut changed = false;
        for edge in edges {
            changed |= tripod.graph.disconnect::<E>(edge.id, post).await?;
        }
        anyhow::ensure!(changed, "some of {} are removed already: their far ends' jobs come first", E::NAME);
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
