//! Views of accounts, as authors and as profiles.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::Viewer;
use tripod::shard::Read;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::account::Author;
use crate::entity::{AccountId, Follow, account};
use crate::visibility::{self, People};

/// The author view of each account that the viewer may see, in the same order.
pub async fn authors(
    app: &App,
    read: &Read,
    viewer: Viewer,
    ids: Vec<AccountId>,
) -> Result<Vec<Option<Author>>> {
    let people = People::load(read, viewer, ids.iter().copied()).await?;
    Ok(ids.iter().map(|id| Some((**people.author(app, *id)?).clone())).collect())
}

/// A person's profile.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[serde(flatten)]
    pub author: Author,
    /// Their description of themselves; may be empty.
    pub bio: String,
    /// Whether only accepted followers see their posts.
    pub is_private: bool,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
    pub counts: UserCounts,
    /// The relationship between you and them; null if you are not logged in or it is you.
    #[schema(required)]
    pub relationship: Option<Relationship>,
}

/// A person's stored totals, the same for every viewer.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserCounts {
    pub posts: i64,
    pub followers: u64,
    pub following: u64,
}

/// The relationship between the viewer and a person.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Relationship {
    /// You follow them.
    pub following: bool,
    /// You asked to follow them.
    pub requested: bool,
    /// They follow you.
    pub followed_by: bool,
    /// You block them.
    pub blocking: bool,
    /// You do not see their posts in your feed.
    pub muting: bool,
}

/// The profile of an account, if the viewer may see it.
pub async fn account(app: &App, read: &Read, viewer: Viewer, id: AccountId) -> Result<User> {
    let account = visibility::account(read, viewer, id).await?;
    let ids = [account.id];
    let followers = read.source_counts::<Follow>(&ids).await?;
    let following = read.target_counts::<Follow>(&ids).await?;
    let relationship = match viewer.id::<account::Entity>().filter(|me| *me != account.id) {
        None => None,
        Some(me) => Some(Relationship {
            following: !read.targets_among::<Follow>(me, &ids).await?.is_empty(),
            followed_by: !read.sources_among::<Follow>(me, &ids).await?.is_empty(),
            ..Relationship::default()
        }),
    };
    Ok(User {
        author: (**account.view(app, Author::of)).clone(),
        bio: account.bio.clone(),
        is_private: false,
        created_at: account.id.created_at(),
        counts: UserCounts {
            posts: account.post_count,
            followers: followers.get(&account.id).copied().unwrap_or_default(),
            following: following.get(&account.id).copied().unwrap_or_default(),
        },
        relationship,
    })
}
