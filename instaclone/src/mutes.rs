//! Mutes: people whose posts are left out of one's feed. They do not learn of it.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::web::{Json, Page, PageQuery, Path, SignedIn};
use tripod::{App, Result};

use crate::entity::{AccountId, Mute};
use crate::relations;
use crate::views::Person;

/// Mutes a person, or unmutes them.
pub async fn set(app: &App, me: AccountId, them: AccountId, muted: bool) -> Result<()> {
    relations::set::<Mute>(app, me, ("id", them), muted).await
}

/// The people whom the account mutes, the latest mute first.
pub async fn list(app: &App, me: AccountId, page: PageQuery) -> Result<Page<Person>> {
    relations::list::<Mute>(app, me, page).await
}

/// Mute a person: their posts are left out of your feed.
#[utoipa::path(put, path = "/users/{id}/mute", tag = "mutes", operation_id = "muteUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You mute this user.")))]
pub async fn mute(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unmute a person.
#[utoipa::path(delete, path = "/users/{id}/mute", tag = "mutes", operation_id = "unmuteUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not mute this user.")))]
pub async fn unmute(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people whom you mute, the latest mute first.
#[utoipa::path(get, path = "/me/mutes", tag = "mutes", operation_id = "listMutes", params(PageQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Person>)))]
pub async fn list_mutes(State(app): State<App>, me: SignedIn, page: PageQuery) -> Result<Json<Page<Person>>> {
    list(&app, me.id(), page).await.map(Json)
}
