//! The job that erases what a deleted account has made.

use serde::{Deserialize, Serialize};
use tripod::graph::EdgePage;
use tripod::queue::{JobRun, Run};
use tripod::shard::Page;
use tripod::{Job, Tripod};

use super::account::{self, AccountId};
use crate::follows::Follow;
use crate::likes::Like;
use crate::posts;
use crate::saves::Save;

/// Rows that are erased between two looks at what is left.
const PAGE: u64 = 100;

/// Erases the posts, follows, likes and saves of a deleted account. What is left is asked for anew each
/// time, so a repeat simply goes on. Its comments stay under others' posts, seen by nobody.
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

impl Run<Tripod> for EraseAccount {
    async fn run(&mut self, tripod: &Tripod, _: &JobRun) -> anyhow::Result<()> {
        let (id, page) = (self.account, EdgePage { after: None, limit: PAGE });
        loop {
            let posts = tripod.shards.list::<posts::post::Entity>(id, Page::first(PAGE)).await?;
            let followed = tripod.graph.targets::<Follow>(id, page).await?;
            let followers = tripod.graph.sources::<Follow>(id, page).await?;
            let liked = tripod.graph.targets::<Like>(id, page).await?;
            let saved = tripod.graph.targets::<Save>(id, page).await?;
            let edges = followed.len() + followers.len() + liked.len() + saved.len();
            if posts.is_empty() && edges == 0 {
                break;
            }
            let mut changed = !posts.is_empty();
            for post in posts {
                posts::remove(tripod, post.unguarded()).await?;
            }
            for link in followed {
                changed |= tripod.graph.disconnect::<Follow>(id, link.id).await?;
            }
            for link in followers {
                changed |= tripod.graph.disconnect::<Follow>(link.id, id).await?;
            }
            for link in liked {
                changed |= tripod.graph.disconnect::<Like>(id, link.id).await?;
            }
            for link in saved {
                changed |= tripod.graph.disconnect::<Save>(id, link.id).await?;
            }
            anyhow::ensure!(changed, "some edges are removed already: their far ends' jobs come first");
        }
        let account = tripod.shards.find::<account::Entity>(id).await?;
        if let Some(avatar) = account.and_then(|account| account.unguarded().avatar) {
            avatar.delete_files(tripod).await?;
        }
        Ok(())
    }
}
