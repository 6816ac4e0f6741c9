//! Logging in and out, and the signed-in devices.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::web::{ClientInfo, Json, Page, PasswordChange, Path, Problem, Session, SignedIn, TextFields};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

use super::suspend;
use super::users::{Entered, SignedInUser, by_username, username};

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
    /// The `User-Agent` at log-in.
    pub device: String,
    /// Whether this request comes from it.
    pub current: bool,
}

/// Logs in with a name and a password.
pub async fn log_in_as(app: &App, client: ClientInfo, credentials: Credentials) -> Result<Entered> {
    let read = app.cached();
    let mut fields = TextFields::default();
    let name = username(&mut fields, &credentials.username);
    // A malformed name is answered like an unknown one.
    let account = match fields.check() {
        Ok(()) => by_username(&read, &name).await?.map(|account| account.peek().id),
        Err(_) => None,
    };
    let logged_in = app.passwords.log_in(client, &name, account, credentials.password).await?;
    suspend::refuse(app, logged_in.account).await?;
    Entered::new(app, &read, logged_in).await
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

/// Closes one of the account's own sessions.
pub async fn close(app: &App, SignedIn(current): &SignedIn, id: SessionId) -> Result<()> {
    match app.sessions.close(current.account, id).await? {
        true => Ok(()),
        false => Err(Error::absent("You have no session of this id.")),
    }
}

/// Log in.
#[utoipa::path(post, path = "/sessions", tag = "accounts", operation_id = "logIn", request_body = Credentials,
    security(()), responses((status = 201, description = "Logged in.", body = SignedInUser),
              (status = 403, description = "The account is suspended.", body = Problem, content_type = "application/problem+json")))]
pub async fn log_in(
    State(app): State<App>,
    client: ClientInfo,
    Json(credentials): Json<Credentials>,
) -> Result<impl IntoResponse> {
    log_in_as(&app, client, credentials).await?.reply(&app)
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
    responses((status = 204, description = "The device's token is no longer valid.")))]
pub async fn close_session(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<SessionId>,
) -> Result<StatusCode> {
    close(&app, &me, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Change your password. All other devices are logged out.
#[utoipa::path(put, path = "/me/password", tag = "accounts", operation_id = "changePassword", security(("bearer" = [])),
    request_body = PasswordChange,
    responses((status = 204, description = "The password is changed, and all other devices are logged out.")))]
pub async fn change_password(
    State(app): State<App>,
    me: SignedIn,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode> {
    app.passwords.change(&me, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
