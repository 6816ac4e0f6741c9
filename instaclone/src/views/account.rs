//! Views of accounts, as authors and as profiles.

use chrono::{DateTime, Utc};
use serde::Serialize;
use tripod::access::Viewer;
use tripod::id::IdSet;
use tripod::shard::Read;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::account::Author;
use crate::entity::{AccountId, Block, CloseFriend, Follow, FollowRequest, Mute, account};
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
#[derive(Debug, Serialize, ToSchema)]
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
    /// They see your posts for close friends.
    pub close_friend: bool,
}

/// A person in one of your own lists.
#[derive(Debug, Serialize, ToSchema)]
pub struct Person {
    #[serde(flatten)]
    pub author: Author,
    /// The relationship between you and them.
    pub relationship: Relationship,
}

/// The view of each of these people that is loaded, for one of the account's own lists, in the same order.
pub async fn people(
    app: &App,
    read: &Read,
    me: AccountId,
    people: &People,
    ids: Vec<AccountId>,
) -> Result<Vec<Option<Person>>> {
    let relationships = Relationships::load(read, me, &ids).await?;
    let view = |id: &AccountId| {
        let author = (**people.author(app, *id)?).clone();
        Some(Person { author, relationship: relationships.with(*id) })
    };
    Ok(ids.iter().map(view).collect())
}

/// The relationships between an account and a set of others.
struct Relationships {
    following: IdSet<account::Entity>,
    requested: IdSet<account::Entity>,
    followed_by: IdSet<account::Entity>,
    blocking: IdSet<account::Entity>,
    muting: IdSet<account::Entity>,
    close_friends: IdSet<account::Entity>,
}

impl Relationships {
    async fn load(read: &Read, me: AccountId, ids: &[AccountId]) -> Result<Self> {
        let (following, requested, followed_by, blocking, muting, close_friends) = tokio::try_join!(
            read.targets_among::<Follow>(me, ids),
            read.targets_among::<FollowRequest>(me, ids),
            read.sources_among::<Follow>(me, ids),
            read.targets_among::<Block>(me, ids),
            read.targets_among::<Mute>(me, ids),
            read.targets_among::<CloseFriend>(me, ids),
        )?;
        Ok(Self { following, requested, followed_by, blocking, muting, close_friends })
    }

    fn with(&self, id: AccountId) -> Relationship {
        Relationship {
            following: self.following.contains(&id),
            requested: self.requested.contains(&id),
            followed_by: self.followed_by.contains(&id),
            blocking: self.blocking.contains(&id),
            muting: self.muting.contains(&id),
            close_friend: self.close_friends.contains(&id),
        }
    }
}

/// The profile of an account, if the viewer may see it.
pub async fn account(app: &App, read: &Read, viewer: Viewer, id: AccountId) -> Result<User> {
    let account = visibility::account(read, viewer, id).await?;
    let ids = [account.id];
    let followers = read.source_counts::<Follow>(&ids).await?;
    let following = read.target_counts::<Follow>(&ids).await?;
    let relationship = match viewer.id::<account::Entity>().filter(|me| *me != account.id) {
        None => None,
        Some(me) => Some(Relationships::load(read, me, &ids).await?.with(account.id)),
    };
    Ok(User {
        author: (**account.view(app, Author::of)).clone(),
        bio: account.bio.clone(),
        is_private: account.is_private,
        created_at: account.id.created_at(),
        counts: UserCounts {
            posts: account.post_count,
            followers: followers.get(&account.id).copied().unwrap_or_default(),
            following: following.get(&account.id).copied().unwrap_or_default(),
        },
        relationship,
    })
}
