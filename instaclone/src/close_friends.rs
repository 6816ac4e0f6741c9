//! Close friends: the people who see the posts that an account makes for them only. They learn of it by
//! such a post.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, SignedIn};
use tripod::{App, Result};

use crate::entity::{AccountId, CloseFriend};
use crate::views::Person;
use crate::{relations, visibility};

/// Counts a person among the account's close friends, or no longer.
pub async fn set(app: &App, me: AccountId, them: AccountId, close: bool) -> Result<()> {
    visibility::account(&app.cached(), Viewer::from(me), them).await?;
    relations::set::<CloseFriend>(app, me, ("user_id", them), close).await
}

/// The account's close friends, the latest addition first.
pub async fn list(app: &App, me: AccountId, page: PageQuery) -> Result<Page<Person>> {
    relations::list::<CloseFriend>(app, me, page).await
}

/// Add a person to your close friends: they see your posts for close friends.
#[utoipa::path(put, path = "/me/close-friends/{user_id}", tag = "friends", operation_id = "addCloseFriend",
    params(("user_id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "They are one of your close friends.")))]
pub async fn add_close_friend(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a person from your close friends.
#[utoipa::path(delete, path = "/me/close-friends/{user_id}", tag = "friends", operation_id = "removeCloseFriend",
    params(("user_id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "They are not one of your close friends.")))]
pub async fn remove_close_friend(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<AccountId>,
) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Your close friends, the latest addition first. Only you see the list.
#[utoipa::path(get, path = "/me/close-friends", tag = "friends", operation_id = "listCloseFriends",
    params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Person>)))]
pub async fn list_close_friends(
    State(app): State<App>,
    me: SignedIn,
    page: PageQuery,
) -> Result<Json<Page<Person>>> {
    list(&app, me.id(), page).await.map(Json)
}
