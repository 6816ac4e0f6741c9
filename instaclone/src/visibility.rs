//! Who sees what: every policy of the product. Lists, counts and pages all go through here.

use std::collections::HashMap;

use tripod::access::{Policy, Viewer, Visible};
use tripod::shard::Read;
use tripod::{Error, Result};

use crate::entity::{AccountId, PostId, account, comment, post};

/// Nobody sees a deleted account.
fn exists(_: Viewer, account: &account::Model) -> bool {
    !account.deleted
}

/// Those accounts of a set that one viewer sees: the facts by which the posts and comments of a page are
/// judged. What an account wrote is seen by whoever sees the account.
pub struct People {
    seen: HashMap<AccountId, Visible<account::Model>>,
}

impl People {
    /// Loads a set of accounts at once.
    pub async fn load(read: &Read, viewer: Viewer, ids: impl IntoIterator<Item = AccountId>) -> Result<Self> {
        let mut ids: Vec<AccountId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let accounts = read.find_many(&ids).await?;
        let seen = accounts.into_iter().filter_map(|account| account.visible_to(viewer, &exists));
        Ok(Self { seen: seen.map(|account| (account.id, account)).collect() })
    }

    /// Whom the viewer sees.
    pub fn seen(&self) -> impl Iterator<Item = &Visible<account::Model>> {
        self.seen.values()
    }
}

impl Policy<post::Model> for People {
    fn allows(&self, _: Viewer, post: &post::Model) -> bool {
        self.seen.contains_key(&post.author_id)
    }
}

impl Policy<comment::Model> for People {
    fn allows(&self, _: Viewer, comment: &comment::Model) -> bool {
        self.seen.contains_key(&comment.author_id)
    }
}

/// The account of this id, if the viewer sees it.
pub async fn account(read: &Read, viewer: Viewer, id: AccountId) -> Result<Visible<account::Model>> {
    let account = read.find(id).await?.and_then(|account| account.visible_to(viewer, &exists));
    account.ok_or_else(no_account)
}

/// The post of this id, if the viewer sees it.
pub async fn post(read: &Read, viewer: Viewer, id: PostId) -> Result<Visible<post::Model>> {
    let found = read.find(id).await?.ok_or_else(no_post)?;
    let author = People::load(read, viewer, [found.peek().author_id]).await?;
    found.visible_to(viewer, &author).ok_or_else(no_post)
}

/// Whether neither of two accounts has been deleted. Asked after an edge between them was made:
/// the mark of deletion commits before the erasing begins, so either that finds the edge, or this
/// finds the mark.
pub async fn both_exist(read: &Read, one: AccountId, other: AccountId) -> Result<bool> {
    let found = read.find_many(&[one, other]).await?;
    let exist = |id| found.iter().any(|account| account.peek().id == id && !account.peek().deleted);
    Ok(exist(one) && exist(other))
}

/// The answer about somebody who is not there, or not for this viewer.
pub fn no_account() -> Error {
    Error::absent("There is nobody of this id or name.")
}

/// The answer about a post that is not there, or not for this viewer.
pub fn no_post() -> Error {
    Error::absent("There is no such post.")
}

/// The answer about a comment that is not there, or not for this viewer.
pub fn no_comment() -> Error {
    Error::absent("There is no such comment.")
}
