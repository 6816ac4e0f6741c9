//! Visibility: all policies of the product. Lists, counts and pages all use them.

use tripod::access::{Everybody, Policy, Viewer, Visible};
use tripod::id::IdMap;
use tripod::shard::Read;
use tripod::web::Rendered;
use tripod::{App, Error, Result};

use crate::entity::account::Author;
use crate::entity::{AccountId, PostId, account, comment, post};

/// The accounts of a set that one viewer may see: the facts that decide about the posts and comments of
/// a page. An account's posts and comments are visible to everyone who may see the account; those of a
/// deleted account are visible to no one.
pub struct People {
    seen: IdMap<account::Entity, Visible<account::Model>>,
}

impl People {
    /// Loads a set of accounts at once.
    pub async fn load(read: &Read, viewer: Viewer, ids: impl IntoIterator<Item = AccountId>) -> Result<Self> {
        let mut ids: Vec<AccountId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let accounts = read.find_many(&ids).await?;
        let seen = accounts.into_iter().filter_map(|account| account.visible_to(viewer, &Everybody));
        Ok(Self { seen: seen.map(|account| (account.id, account)).collect() })
    }

    /// The author view of an account of the set, if the viewer may see it.
    pub fn author(&self, app: &App, id: AccountId) -> Option<&Rendered<Author>> {
        Some(self.seen.get(&id)?.view(app, Author::of))
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

/// The account with this id, if the viewer may see it.
pub async fn account(read: &Read, viewer: Viewer, id: AccountId) -> Result<Visible<account::Model>> {
    let account = read.find(id).await?.and_then(|account| account.visible_to(viewer, &Everybody));
    account.ok_or_else(no_account)
}

/// The post with this id, if the viewer may see it.
pub async fn post(read: &Read, viewer: Viewer, id: PostId) -> Result<Visible<post::Model>> {
    let found = read.find(id).await?.ok_or_else(no_post)?;
    let author = People::load(read, viewer, [found.peek().author_id]).await?;
    found.visible_to(viewer, &author).ok_or_else(no_post)
}

/// The error for an account that does not exist or is hidden from the viewer.
pub fn no_account() -> Error {
    Error::absent("There is nobody of this id or name.")
}

/// The error for a post that does not exist or is hidden from the viewer.
pub fn no_post() -> Error {
    Error::absent("There is no such post.")
}

/// The error for a comment that does not exist or is hidden from the viewer.
pub fn no_comment() -> Error {
    Error::absent("There is no such comment.")
}
