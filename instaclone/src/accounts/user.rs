//! Profiles: what one person sees of another.

use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer};
use tripod::web::{Json, Path, Problem, Query};
use tripod::{Result, Tripod};
use utoipa::{IntoParams, ToSchema};

use super::account::{self, AccountId};
use super::people::{Author, Existing};
use super::username;
use crate::follows::Follow;
use crate::text::{self, Texts};

/// A person's profile.
#[derive(Debug, Serialize, ToSchema)]
pub struct User {
    #[serde(flatten)]
    pub author: Author,
    /// What they say about themselves; may be empty.
    pub bio: String,
    /// Whether only accepted followers see their posts.
    pub is_private: bool,
    /// When they signed up.
    pub created_at: DateTime<Utc>,
    pub counts: UserCounts,
    /// How you and they stand to each other; null when you are not logged in or it is you.
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

/// How the viewer and a person stand to each other.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Relationship {
    /// You follow them.
    pub following: bool,
    /// You asked to.
    pub requested: bool,
    /// They follow you.
    pub followed_by: bool,
    /// You block them.
    pub blocking: bool,
    /// You do not see their posts in your feed.
    pub muting: bool,
}

impl User {
    /// The profile of an account, if the viewer sees it.
    pub async fn present(
        tripod: &Tripod,
        viewer: Viewer,
        account: Unchecked<account::Model>,
    ) -> Result<Option<Self>> {
        let Some(account) = account.visible_to(viewer, &Existing) else { return Ok(None) };
        let ids = [account.id];
        let followers = tripod.graph.source_counts::<Follow>(&ids).await?;
        let following = tripod.graph.target_counts::<Follow>(&ids).await?;
        let relationship = match viewer.id::<account::Entity>().filter(|me| *me != account.id) {
            None => None,
            Some(me) => Some(Relationship {
                following: !tripod.graph.targets_among::<Follow>(me, &ids).await?.is_empty(),
                followed_by: !tripod.graph.sources_among::<Follow>(me, &ids).await?.is_empty(),
                ..Relationship::default()
            }),
        };
        Ok(Some(Self {
            author: Author::new(tripod, &account),
            bio: account.bio.clone(),
            is_private: false,
            created_at: account.id.created_at(),
            counts: UserCounts {
                posts: account.post_count,
                followers: followers.get(&account.id).copied().unwrap_or_default(),
                following: following.get(&account.id).copied().unwrap_or_default(),
            },
            relationship,
        }))
    }
}

/// The account of this id if the viewer sees it; 404 otherwise.
pub async fn existing(tripod: &Tripod, viewer: Viewer, id: AccountId) -> Result<AccountId, Problem> {
    let account = tripod.shards.get(id).await?.and_then(|account| account.visible_to(viewer, &Existing));
    account.map(|account| account.id).ok_or_else(nobody)
}

/// Whether neither of two accounts has been deleted. Asked after an edge between them was made:
/// the mark of deletion commits before the erasing begins, so either that finds the edge, or this
/// finds the mark.
pub async fn both_exist(tripod: &Tripod, one: AccountId, other: AccountId) -> Result<bool> {
    let found = tripod.shards.find_many(&[one, other]).await?;
    let exist = |id| found.iter().any(|account| account.peek().id == id && !account.peek().deleted);
    Ok(exist(one) && exist(other))
}

/// The account of a user name, seen or not.
pub async fn by_username(tripod: &Tripod, name: &str) -> Result<Option<Unchecked<account::Model>>> {
    match tripod.shards.find_text::<username::Entity>(name).await? {
        Some(found) => tripod.shards.get(found.peek().account_id).await,
        None => Ok(None),
    }
}

/// The answer about somebody who is not there, or not for this viewer.
pub fn nobody() -> Problem {
    Problem::absent("There is nobody of this id or name.")
}

/// A person.
#[utoipa::path(get, path = "/users/{id}", tag = "users", operation_id = "getUser",
    params(("id" = AccountId, Path)), security((), ("bearer" = [])),
    responses((status = 200, description = "The person.", body = User)))]
pub async fn get_user(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
) -> Result<Json<User>, Problem> {
    let account = tripod.shards.get(id).await?.ok_or_else(nobody)?;
    User::present(&tripod, viewer, account).await?.map(Json).ok_or_else(nobody)
}

/// Whom to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ByName {
    /// The person's user name.
    #[param(pattern = "^[A-Za-z0-9._]{1,30}$")]
    pub username: String,
}

/// A person by user name.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "findUser", params(ByName),
    security((), ("bearer" = [])),
    responses((status = 200, description = "The person.", body = User),
              (status = 404, description = "Nobody has this name.", body = Problem, content_type = "application/problem+json")))]
pub async fn find_user(
    State(tripod): State<Tripod>,
    viewer: Viewer,
    Query(query): Query<ByName>,
) -> Result<Json<User>, Problem> {
    let mut texts = Texts::default();
    let name = text::username(&mut texts, &query.username);
    texts.check()?;
    let account = by_username(&tripod, &name).await?.ok_or_else(nobody)?;
    User::present(&tripod, viewer, account).await?.map(Json).ok_or_else(nobody)
}
