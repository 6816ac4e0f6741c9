//! The job that erases the data of a deleted account.

use serde::{Deserialize, Serialize};
use tripod::queue::{JobRun, Run};
use tripod::shard::Keyset;
use tripod::{App, BoxError, Job};

use crate::entity::{AccountId, post};
use crate::posts;

/// Posts erased between two checks of what is left.
const PAGE: u64 = 100;

/// Erases the posts and the edges of a deleted account. Each step looks up what is left, so a retry
/// simply continues. The account's comments stay under others' posts, visible to no one.
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
        let account = self.account;
        loop {
            let posts = app.primary().list::<post::Entity>(account, Keyset::newest(PAGE)).await?;
            if posts.items.is_empty() {
                break;
            }
            for post in posts.into_items() {
                posts::remove(app, post.into_inner_unchecked()).await?;
            }
        }
        Ok(app.write(account, move |tx| async move { tx.remove_edges(account).await }).await?)
    }
}
