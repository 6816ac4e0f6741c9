//! Blocks: two people who see nothing of each other.

use axum::extract::State;
use axum::http::StatusCode;
use tripod::access::Viewer;
use tripod::web::{Json, Page, PageQuery, Path, SignedIn};
use tripod::{App, Result};

use crate::entity::{AccountId, Block};
use crate::relations;
use crate::views::{self, Person};
use crate::visibility::People;

/// Blocks a person, or unblocks them. A block ends what connects the two: follows, requests to follow, and
/// close friends. Unblocking restores none of it.
pub async fn set(app: &App, me: AccountId, them: AccountId, blocked: bool) -> Result<()> {
    relations::set::<Block>(app, me, ("id", them), blocked).await
}

/// The people whom the account blocks, the latest block first.
pub async fn list(app: &App, me: AccountId, page: PageQuery) -> Result<Page<Person>> {
    let (read, viewer) = (app.cached(), Viewer::from(me));
    let present = |ids: Vec<AccountId>| async {
        let people = People::load_blocked(&read, viewer, &ids).await?;
        views::people(app, &read, me, &people, ids).await
    };
    page.fill(|part| read.targets::<Block>(me, part), present).await
}

/// Block a person: neither of you sees anything of the other.
#[utoipa::path(put, path = "/users/{id}/block", tag = "blocks", operation_id = "blockUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You block this user.")))]
pub async fn block(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Unblock a person.
#[utoipa::path(delete, path = "/users/{id}/block", tag = "blocks", operation_id = "unblockUser",
    params(("id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "You do not block this user.")))]
pub async fn unblock(State(app): State<App>, me: SignedIn, Path(id): Path<AccountId>) -> Result<StatusCode> {
    set(&app, me.id(), id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The people whom you block, the latest block first.
#[utoipa::path(get, path = "/me/blocks", tag = "blocks", operation_id = "listBlocks", params(PageQuery),
    security(("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Person>)))]
pub async fn list_blocks(
    State(app): State<App>,
    me: SignedIn,
    page: PageQuery,
) -> Result<Json<Page<Person>>> {
    list(&app, me.id(), page).await.map(Json)
}
