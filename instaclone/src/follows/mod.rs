//! Follows: they determine whose posts appear in a feed.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, Problem, RateLimit, SignedIn};
use tripod::{App, Error, Result};

use crate::entity::account::Author;
use crate::entity::{AccountId, Follow};
use crate::views;
use crate::visibility;

/// Maximum people that an account may follow. A feed is built from their lists, so the number must be
/// bounded; Instagram has the same limit.
const MOST_FOLLOWED: u64 = 7_500;
/// Follows and unfollows per account.
const FOLLOWS: RateLimit = RateLimit::new("follow", 200, 3_600);

/// Follows a person, or stops following them.
pub async fn set(app: &App, me: AccountId, them: AccountId, followed: bool) -> Result<()> {
    app.limits.check(FOLLOWS, me).await?;
    let read = app.cached();
    let them = visibility::account(&read, Viewer::from(me), them).await?.id;
    if !followed {
        return app.disconnect::<Follow>(me, them).await.map(drop);
    }
    if them == me {
        return Err(Error::invalid_field("id", "is you: nobody follows themselves"));
    }
    let count = read.target_counts::<Follow>(&[me]).await?;
    let is_new = read.targets_among::<Follow>(me, &[them]).await?.is_empty();
    if is_new && count.values().any(|count| *count >= MOST_FOLLOWED) {
        let detail = format!("can't be followed: you follow {MOST_FOLLOWED} people already");
        return Err(Error::invalid_field("id", detail));
    }
    app.connect::<Follow>(me, them).await.map(drop)
}

/// The people who follow an account, newest first.
pub async fn followers(app: &App, viewer: Viewer, of: AccountId, page: PageQuery) -> Result<Page<Author>> {
    let read = app.cached();
    let of = visibility::account(&read, viewer, of).await?.id;
    page.fill(|part| read.sources::<Follow>(of, part), |ids| views::authors(app, &read, viewer, ids)).await
}

/// The people whom an account follows, newest first.
pub async fn following(app: &App, viewer: Viewer, by: AccountId, page: PageQuery) -> Result<Page<Author>> {
    let read = app.cached();
    let by = visibility::account(&read, viewer, by).await?.id;
    page.fill(|part| read.targets::<Follow>(by, part), |ids| views::authors(app, &read, viewer, ids)).await
}

/// Follow a person.
#[utoipa::path(put, path = "/users/{id}/follow", tag = "follows", operation_id = "followUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You follow this user."),
              (status = 422, description = "This user is you, or you follow too many users.", body = Problem, content_type = "application/problem+json")))]
pub async fn follow(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unfollow a person.
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
