//! Log in, log out, and the devices that are signed in.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tripod::access::Viewer;
use tripod::id::Id;
use tripod::web::{Json, NoStore, Page, Path, RateLimit, RateLimitKey, Session, SignedIn, TextFields};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

use super::users::{SignedInUser, by_username, username};
use crate::entity::{AccountId, credential};
use crate::views;

/// Attempts to log in to one account, from anywhere.
const LOG_INS_BY_NAME: RateLimit = RateLimit::new("log_in_by_name", 20, 600);
/// Attempts to log in from one network, to any account.
const LOG_INS_BY_NETWORK: RateLimit = RateLimit::new("log_in_by_network", 60, 600);

/// The id of a session.
pub type SessionId = Id<Session>;

/// A user name and its password.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Credentials {
    pub username: String,
    pub password: String,
}

/// A signed-in device.
#[derive(Debug, Serialize, ToSchema)]
pub struct Device {
    /// The session's id.
    pub id: SessionId,
    /// When it logged in.
    pub created_at: DateTime<Utc>,
    /// What it said it is.
    pub device: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// What a device says it is.
pub(super) fn device(headers: &HeaderMap) -> String {
    headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or("unknown").to_owned()
}

/// Logs in with a name and a password, from this address.
pub async fn log_in_as(
    app: &App,
    peer: SocketAddr,
    headers: &HeaderMap,
    credentials: Credentials,
) -> Result<SignedInUser> {
    app.limits.check(LOG_INS_BY_NETWORK, peer.ip()).await?;
    let read = app.cached();
    let mut fields = TextFields::default();
    let name = username(&mut fields, &credentials.username);
    // A name that nobody can have is a wrong one, like any other.
    let known = if fields.check().is_ok() {
        app.limits.check(LOG_INS_BY_NAME, RateLimitKey::Name(name.clone())).await?;
        by_username(&read, &name).await?.filter(|account| !account.peek().deleted)
    } else {
        None
    };
    let stored = match &known {
        Some(account) => app.primary().find(credential::of(account.peek().id)).await?,
        None => None,
    };
    let stored = stored.map(|credential| credential.into_inner_unchecked().password_hash);
    if !app.passwords.verify(credentials.password, stored).await? {
        return Err(wrong());
    }
    let id = known.ok_or_else(wrong)?.peek().id;
    let token = open_session(app, id, device(headers)).await?;
    let user = views::account(app, &read, Viewer::Account(id.raw()), id).await;
    Ok(SignedInUser { user: user.map_err(|error| if error.is_absent() { wrong() } else { error })?, token })
}

/// Opens a session of an account that exists: looked at in the same transaction, because it may be
/// deleted while its password is being checked. Whoever deletes it waits until this session is there to
/// be closed.
pub(super) async fn open_session(app: &App, id: AccountId, device: String) -> Result<String> {
    let open = app.write(id, move |tx| async move {
        let account = tx.find_for_update(id).await?;
        account.filter(|account| !account.peek().deleted).ok_or_else(wrong)?;
        tx.open_session(id, &device).await
    });
    open.await
}

/// The answer to a log-in that does not fit, whatever about it does not.
fn wrong() -> Error {
    Error::unauthenticated("The user name or the password is wrong.")
}

/// The signed-in devices of an account, newest first.
pub async fn devices(app: &App, SignedIn(current): &SignedIn) -> Result<Vec<Device>> {
    let sessions = app.sessions.list(current.account).await?.into_iter();
    let devices = sessions.map(|session| Device {
        id: session.id,
        created_at: session.id.created_at(),
        current: session.id == current.id,
        device: session.device,
    });
    Ok(devices.collect())
}

/// Closes one of one's own sessions.
pub async fn close(app: &App, SignedIn(current): &SignedIn, id: SessionId) -> Result<()> {
    match app.sessions.close(current.account, id).await? {
        true => Ok(()),
        false => Err(Error::absent("You have no session of this id.")),
    }
}

/// Log in.
#[utoipa::path(post, path = "/sessions", tag = "accounts", operation_id = "logIn", request_body = Credentials,
    security(()), responses((status = 201, description = "Logged in.", body = SignedInUser)))]
pub async fn log_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<NoStore<(StatusCode, Json<SignedInUser>)>> {
    let signed_in = log_in_as(&app, peer, &headers, credentials).await?;
    Ok(NoStore((StatusCode::CREATED, Json(signed_in))))
}

/// The signed-in devices, newest first.
#[utoipa::path(get, path = "/sessions", tag = "accounts", operation_id = "listSessions", security(("bearer" = [])),
    responses((status = 200, description = "The devices.", body = Page<Device>,
        links(("closeSession" = (operation_id = "closeSession", parameters(("id" = "$response.body#/items/0/id"))))))))]
pub async fn list_sessions(State(app): State<App>, me: SignedIn) -> Result<Json<Page<Device>>> {
    Ok(Json(Page { items: devices(&app, &me).await?, next: None }))
}

/// Log this device out.
#[utoipa::path(delete, path = "/sessions/current", tag = "accounts", operation_id = "logOut", security(("bearer" = [])),
    responses((status = 204, description = "The token is no longer valid.")))]
pub async fn log_out(State(app): State<App>, SignedIn(session): SignedIn) -> Result<StatusCode> {
    app.sessions.close(session.account, session.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Log a device out.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "accounts", operation_id = "closeSession",
    params(("id" = SessionId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "Its token is no longer valid.")))]
pub async fn close_session(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<SessionId>,
) -> Result<StatusCode> {
    close(&app, &me, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
