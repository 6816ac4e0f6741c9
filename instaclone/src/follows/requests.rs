//! Requests to follow a private account. Each is an edge on the shard of the one who asks; accepting it
//! turns it into a follow there, in one transaction.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tripod::access::Viewer;
use tripod::graph::SourceWalk;
use tripod::queue::{JobRun, Run};
use tripod::web::{Json, Page, PageQuery, Path, SignedIn};
use tripod::{App, BoxError, Error, Job, Result};

use crate::entity::account::Author;
use crate::entity::{AccountId, Follow, FollowRequest};
use crate::views;
use crate::visibility::no_account;

/// Accepts a request: from now on the person follows the account.
pub async fn accept(app: &App, me: AccountId, from: AccountId) -> Result<()> {
    let accept = app.write(from, move |tx| async move {
        if !tx.disconnect::<FollowRequest>(from, me).await? {
            return Ok(false);
        }
        tx.connect::<Follow>(from, me).await
    });
    // A repeat finds no request any more.
    if accept.await? || !app.primary().sources_among::<Follow>(me, &[from]).await?.is_empty() {
        return Ok(());
    }
    Err(Error::absent("They have not asked to follow you."))
}

/// Declines a request, of which its sender learns nothing.
pub async fn decline(app: &App, me: AccountId, from: AccountId) -> Result<()> {
    app.cached().find(from).await?.ok_or_else(no_account)?;
    app.disconnect::<FollowRequest>(from, me).await.map(drop)
}

/// The people who ask to follow an account, the latest request first.
pub async fn list(app: &App, me: AccountId, page: PageQuery) -> Result<Page<Author>> {
    let (read, viewer) = (app.cached(), Viewer::from(me));
    page.fill(|part| read.sources::<FollowRequest>(me, part), |ids| views::authors(app, &read, viewer, ids))
        .await
}

/// Accepts the requests that an account has when it becomes public.
#[derive(Debug, Serialize, Deserialize, Job)]
#[job(name = "accept_requests", retries = 20)]
pub struct AcceptRequests {
    to: AccountId,
    requests: SourceWalk<FollowRequest>,
}

impl AcceptRequests {
    /// The job for an account.
    pub fn new(to: AccountId) -> Self {
        Self { to, requests: SourceWalk::new(to) }
    }
}

impl Run<App> for AcceptRequests {
    async fn run(&mut self, app: &App, run: &JobRun) -> Result<(), BoxError> {
        let read = app.primary();
        while let Some(people) = self.requests.next(&read).await? {
            // It may have become private again.
            let account = read.find(self.to).await?;
            if account.is_none_or(|account| account.peek().is_private) {
                return Ok(());
            }
            for from in people {
                match accept(app, self.to, from).await {
                    // Withdrawn or deleted meanwhile, or by a block.
                    Err(error) if error.is_absent() => {}
                    accepted => accepted?,
                }
            }
            run.checkpoint(self).await?;
        }
        Ok(())
    }
}

/// The people who ask to follow you, the latest request first.
#[utoipa::path(get, path = "/me/follow-requests", tag = "follows", operation_id = "listFollowRequests",
    params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of people.", body = Page<Author>)))]
pub async fn list_follow_requests(
    State(app): State<App>,
    me: SignedIn,
    page: PageQuery,
) -> Result<Json<Page<Author>>> {
    list(&app, me.id(), page).await.map(Json)
}

/// Accept a request to follow you.
#[utoipa::path(put, path = "/me/follow-requests/{user_id}", tag = "follows", operation_id = "acceptFollowRequest",
    params(("user_id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "They follow you.")))]
pub async fn accept_follow_request(
    State(app): State<App>,
    me: SignedIn,
    Path(from): Path<AccountId>,
) -> Result<StatusCode> {
    accept(&app, me.id(), from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Decline a request to follow you.
#[utoipa::path(delete, path = "/me/follow-requests/{user_id}", tag = "follows", operation_id = "declineFollowRequest",
    params(("user_id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "There is no such request.")))]
pub async fn decline_follow_request(
    State(app): State<App>,
    me: SignedIn,
    Path(from): Path<AccountId>,
) -> Result<StatusCode> {
    decline(&app, me.id(), from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a follower, who does not learn of it.
#[utoipa::path(delete, path = "/me/followers/{user_id}", tag = "follows", operation_id = "removeFollower",
    params(("user_id" = AccountId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "They do not follow you.")))]
pub async fn remove_follower(
    State(app): State<App>,
    me: SignedIn,
    Path(from): Path<AccountId>,
) -> Result<StatusCode> {
    remove(&app, me.id(), from).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a person's follow of the account.
pub async fn remove(app: &App, me: AccountId, from: AccountId) -> Result<()> {
    app.cached().find(from).await?.ok_or_else(no_account)?;
    app.disconnect::<Follow>(from, me).await.map(drop)
}
