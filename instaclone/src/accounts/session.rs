//! Log in, log out, and the devices that are signed in.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use tripod::access::Viewer;
use tripod::id::Id;
use tripod::web::{Json, Page, Path, Payer, Problem, Rule, Secret, Session, SignedIn};
use tripod::{Error, Tripod};
use utoipa::ToSchema;

use super::account::{self, AccountId};
use super::{SignedInUser, User, by_username, credential};
use crate::text::{self, Texts};

/// Attempts to log in to one account, from anywhere.
const LOG_INS_BY_NAME: Rule = Rule::new("log_in_by_name", 20, 600);
/// Attempts to log in from one network, to any account.
const LOG_INS_BY_NETWORK: Rule = Rule::new("log_in_by_network", 60, 600);

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

/// Log in.
#[utoipa::path(post, path = "/sessions", tag = "accounts", operation_id = "logIn", request_body = Credentials,
    responses((status = 201, description = "Logged in.", body = SignedInUser)))]
pub async fn log_in(
    State(tripod): State<Tripod>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(credentials): Json<Credentials>,
) -> Result<Secret<(StatusCode, Json<SignedInUser>)>, Problem> {
    tripod.limits.take(LOG_INS_BY_NETWORK, peer.ip()).await?;
    let mut texts = Texts::default();
    let name = text::username(&mut texts, &credentials.username);
    // A name that nobody can have is a wrong one, like any other.
    let known = if texts.check().is_ok() {
        tripod.limits.take(LOG_INS_BY_NAME, Payer::Name(name.clone())).await?;
        by_username(&tripod, &name).await?.filter(|account| !account.peek().deleted)
    } else {
        None
    };
    let stored = match &known {
        Some(account) => tripod.shards.find(credential::of(account.peek().id)).await?,
        None => None,
    };
    let stored = stored.map(|credential| credential.unguarded().password_hash);
    if !tripod.passwords.verify(credentials.password, stored).await? {
        return Err(wrong());
    }
    let account = known.ok_or_else(wrong)?;
    let id = account.peek().id;
    let token = open_session(&tripod, id, device(&headers)).await?;
    let user = User::present(&tripod, Viewer::Account(id.raw()), account).await?.ok_or_else(wrong)?;
    Ok(Secret((StatusCode::CREATED, Json(SignedInUser { user, token }))))
}

/// Opens a session of an account that exists: looked at in the same transaction, because it may be
/// deleted while its password is being checked.
pub(super) async fn open_session(tripod: &Tripod, id: AccountId, device: String) -> Result<String, Problem> {
    let sessions = tripod.sessions.clone();
    tripod
        .shards
        .write(id.shard(), move |tx| {
            Box::pin(async move {
                let existing = account::Entity::find()
                    .filter(account::Column::Id.eq(id))
                    .filter(account::Column::Deleted.eq(false))
                    // Whoever deletes it waits until this session is there to be closed.
                    .lock_shared();
                if existing.one(tx.connection()).await.map_err(Error::from)?.is_none() {
                    return Err(wrong());
                }
                Ok(sessions.open(tx, id, &device).await?)
            })
        })
        .await
}

/// The answer to a log-in that does not fit, whatever about it does not.
fn wrong() -> Problem {
    Problem::unauthenticated("The user name or the password is wrong.")
}

/// The signed-in devices, newest first.
#[utoipa::path(get, path = "/sessions", tag = "accounts", operation_id = "listSessions", security(("bearer" = [])),
    responses((status = 200, description = "The devices.", body = Page<Device>,
        links(("closeSession" = (operation_id = "closeSession", parameters(("id" = "$response.body#/items/0/id"))))))))]
pub async fn list_sessions(
    State(tripod): State<Tripod>,
    SignedIn(current): SignedIn,
) -> Result<Json<Page<Device>>, Problem> {
    let sessions = tripod.sessions.list(current.account).await?.into_iter();
    let items = sessions.map(|session| Device {
        id: session.id,
        created_at: session.id.created_at(),
        current: session.id == current.id,
        device: session.device,
    });
    Ok(Json(Page { items: items.collect(), next: None }))
}

/// Log this device out.
#[utoipa::path(delete, path = "/sessions/current", tag = "accounts", operation_id = "logOut", security(("bearer" = [])),
    responses((status = 204, description = "The token is no longer valid.")))]
pub async fn log_out(
    State(tripod): State<Tripod>,
    SignedIn(session): SignedIn,
) -> Result<StatusCode, Problem> {
    tripod.sessions.close(session.account, session.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Log a device out.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "accounts", operation_id = "closeSession",
    params(("id" = SessionId, Path)), security(("bearer" = [])),
    responses((status = 204, description = "Its token is no longer valid.")))]
pub async fn close_session(
    State(tripod): State<Tripod>,
    SignedIn(current): SignedIn,
    Path(id): Path<SessionId>,
) -> Result<StatusCode, Problem> {
    if tripod.sessions.close(current.account, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::absent("You have no session of this id."))
    }
}
