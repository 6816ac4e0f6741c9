//! Follows: they determine whose posts appear in a feed. A private account is asked first.

mod requests;

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, Problem, RateLimit, SignedIn};
use tripod::{App, Error, Result};

use crate::entity::account::Author;
use crate::entity::{AccountId, Follow, FollowRequest};
use crate::views;
use crate::visibility;

pub use requests::*;

/// Maximum people that an account may follow. A feed is built from their lists, so the number must be
/// bounded; Instagram has the same limit.
const MOST_FOLLOWED: u64 = 7_500;
/// Follows and unfollows per account.
const FOLLOWS: RateLimit = RateLimit::new("follow", 200, 3_600);

/// Follows a person, or asks to if their account is private; or stops following and asking.
pub async fn set(app: &App, me: AccountId, them: AccountId, followed: bool) -> Result<()> {
    app.limits.check(FOLLOWS, me).await?;
    let read = app.cached();
    let account = visibility::account(&read, Viewer::from(me), them).await?;
    if !followed {
        let end = app.write(me, move |tx| async move {
            tx.disconnect::<FollowRequest>(me, them).await?;
            tx.disconnect::<Follow>(me, them).await
        });
        return end.await.map(drop);
    }
    if them == me {
        return Err(Error::invalid_field("id", "is you: nobody follows themselves"));
    }
    // A request counts as well: it becomes a follow without another look at the number.
    let [followed, requested] =
        [read.target_counts::<Follow>(&[me]).await?, read.target_counts::<FollowRequest>(&[me]).await?];
    let count: u64 = followed.values().chain(requested.values()).sum();
    let is_new = read.targets_among::<Follow>(me, &[them]).await?.is_empty();
    if is_new && count >= MOST_FOLLOWED {
        let detail = format!("can't be followed: you follow {MOST_FOLLOWED} people already");
        return Err(Error::invalid_field("id", detail));
    }
    match account.is_private && is_new {
        true => app.connect::<FollowRequest>(me, them).await.map(drop),
        false => app.connect::<Follow>(me, them).await.map(drop),
    }
}

/// The people who follow an account, newest first.
pub async fn followers(app: &App, viewer: Viewer, of: AccountId, page: PageQuery) -> Result<Page<Author>> {
    let read = app.cached();
    let account = visibility::account(&read, viewer, of).await?;
    if !visibility::shows_posts(&read, viewer, &account).await? {
        return page.empty();
    }
    page.fill(|part| read.sources::<Follow>(of, part), |ids| views::authors(app, &read, viewer, ids)).await
}

/// The people whom an account follows, newest first.
pub async fn following(app: &App, viewer: Viewer, by: AccountId, page: PageQuery) -> Result<Page<Author>> {
    let read = app.cached();
    let account = visibility::account(&read, viewer, by).await?;
    if !visibility::shows_posts(&read, viewer, &account).await? {
        return page.empty();
    }
    page.fill(|part| read.targets::<Follow>(by, part), |ids| views::authors(app, &read, viewer, ids)).await
}

/// Follow a person. If their account is private, you follow them once they accept.
#[utoipa::path(put, path = "/users/{id}/follow", tag = "follows", operation_id = "followUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You follow this user, or have asked to."),
              (status = 422, description = "This user is you, or you follow too many users.", body = Problem, content_type = "application/problem+json")))]
pub async fn follow(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unfollow a person, or withdraw your request to follow them.
#[utoipa::path(delete, path = "/users/{id}/follow", tag = "follows", operation_id = "unfollowUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not follow this user.")))]
pub async fn unfollow(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people who follow a person, newest first.
#[utoipa::path(get, path = "/users/{id}/followers", tag = "follows", operation_id = "listFollowers",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_followers(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    page: PageQuery,
) -> Result<Json<Page<Author>>> {
    followers(&app, viewer, id, page).await.map(Json)
}

/// The people whom a person follows, newest first.
#[utoipa::path(get, path = "/users/{id}/following", tag = "follows", operation_id = "listFollowing",
    params(("id" = AccountId, Path), PageQuery), security((), ("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_following(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
    page: PageQuery,
) -> Result<Json<Page<Author>>> {
    following(&app, viewer, id, page).await.map(Json)
}
