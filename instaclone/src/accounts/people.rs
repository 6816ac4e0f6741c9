//! Who of a set of accounts a viewer sees; what others write is shown only with its author.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use tripod::access::{Policy, Viewer, Visible, visible};
use tripod::{Result, Tripod};
use utoipa::ToSchema;

use super::account::{self, AccountId};
use crate::{comments, posts};

/// The one place that decides who sees an account.
pub struct Existing;

impl Policy<account::Model> for Existing {
    fn allows(&self, _: Viewer, account: &account::Model) -> bool {
        !account.deleted
    }
}

/// An account as it stands beside what it wrote, as often as that is on a page.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Author {
    /// Its id.
    pub id: AccountId,
    /// Its user name.
    #[schema(value_type = String)]
    pub username: Arc<str>,
    /// Its full name; may be empty.
    #[schema(value_type = String)]
    pub full_name: Arc<str>,
    /// Its picture, relative to the server unless absolute; null without one.
    #[schema(required, value_type = Option<String>)]
    pub avatar_url: Option<Arc<str>>,
}

impl Author {
    /// The author that a visible account is.
    pub fn new(tripod: &Tripod, account: &Visible<account::Model>) -> Self {
        Self {
            id: account.id,
            username: account.username.as_str().into(),
            full_name: account.full_name.as_str().into(),
            avatar_url: account.avatar.as_ref().map(|avatar| avatar.smallest_url(tripod).into()),
        }
    }
}

/// Those accounts of a set that one viewer sees. It is the policy for what they wrote.
pub struct People(HashMap<AccountId, Author>);

impl People {
    /// Loads a set of accounts, through the cache.
    pub async fn load(
        tripod: &Tripod,
        viewer: Viewer,
        ids: impl IntoIterator<Item = AccountId>,
    ) -> Result<Self> {
        let mut ids: Vec<AccountId> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let accounts = visible(tripod.shards.get_many(&ids).await?, viewer, &Existing);
        Ok(Self(accounts.iter().map(|account| (account.id, Author::new(tripod, account))).collect()))
    }

    /// One of them, if the viewer sees it.
    pub fn get(&self, id: AccountId) -> Option<&Author> {
        self.0.get(&id)
    }
}

impl Policy<posts::post::Model> for People {
    fn allows(&self, _: Viewer, post: &posts::post::Model) -> bool {
        self.0.contains_key(&post.author_id)
    }
}

impl Policy<comments::comment::Model> for People {
    fn allows(&self, _: Viewer, comment: &comments::comment::Model) -> bool {
        self.0.contains_key(&comment.author_id)
    }
}
