//! The job that erases the data of a deleted account.

use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use tripod::queue::{JobRun, Run};
use tripod::shard::Keyset;
use tripod::{App, BoxError, Job};

use crate::comments;
use crate::entity::{AccountId, comment, post, username};
use crate::posts;

/// Posts or comments erased between two checks of what is left.
const PAGE: u64 = 100;

/// Erases the posts, the comments, the name and the edges of a deleted account. Each step looks up what is
/// left, so a retry simply continues.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "erase_account", retries = 20)]
pub struct EraseAccount {
    account: AccountId,
}

impl EraseAccount {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account }
    }
}

impl Run<App> for EraseAccount {
    async fn run(&mut self, app: &App, _: &JobRun) -> Result<(), BoxError> {
        let (account, read) = (self.account, app.primary());
        loop {
            let posts = read.list::<post::Entity>(account, Keyset::newest(PAGE)).await?;
            if posts.items.is_empty() {
                break;
            }
            for post in posts.into_items() {
                posts::remove(app, post.into_inner_unchecked()).await?;
            }
        }
        // A comment lives with its post: it may be committing there for a request from before the deletion.
        app.shards.settle().await?;
        loop {
            let by_account = comment::Column::AuthorId.eq(account);
            let comments = read.list_matching::<comment::Entity>(by_account, Keyset::newest(PAGE)).await?;
            if comments.items.is_empty() {
                break;
            }
            for comment in comments.into_items() {
                comments::erase(app, comment.peek()).await?;
            }
        }
        let names = username::Entity::find()
            .filter(username::Column::Shard.eq(account.shard().number() as i16))
            .filter(username::Column::AccountId.eq(account))
            .all(app.shards.reader(account.shard()))
            .await
            .map_err(tripod::Error::from)?;
        let last = app.write(account, move |tx| async move {
            for name in names {
                tx.retire_text::<username::Entity>(&name.name).await?;
            }
            tx.remove_edges(account).await
        });
        Ok(last.await?)
    }
}
