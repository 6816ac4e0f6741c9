//! Other people: by id and by user name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer};
use tripod::shard::Read;
use tripod::web::{Json, LoggedIn, NoStore, Path, Problem, Query, SessionCookie, TextFields};
use tripod::{App, Result};
use utoipa::{IntoParams, ToSchema};

use crate::entity::{AccountId, account, username};
use crate::views::{self, User};
use crate::visibility::no_account;

/// A signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInUser {
    pub user: User,
    /// Send it with every request: `Authorization: Bearer TOKEN`. It is not shown again.
    pub token: String,
}

/// A person who has just signed up or logged in.
pub struct Entered {
    pub signed_in: SignedInUser,
    /// The token by which their device is known from now on.
    pub device: String,
}

impl Entered {
    pub async fn new(app: &App, read: &Read, logged_in: LoggedIn<account::Entity>) -> Result<Self> {
        let LoggedIn { account, token, device } = logged_in;
        let user = views::account(app, read, Viewer::from(account), account).await?;
        Ok(Self { signed_in: SignedInUser { user, token }, device })
    }

    /// The API's reply. The cookie is for clients that keep cookies; others need none.
    pub fn reply(self, app: &App) -> Result<NoStore<impl IntoResponse + use<>>> {
        let device = SessionCookie::new(&app.config.public_url).of_device(&self.device)?;
        Ok(NoStore((StatusCode::CREATED, [(SET_COOKIE, device)], Json(self.signed_in))))
    }
}

/// A user name as it is stored: lower-cased, `[a-z0-9._]{1,30}`, and neither `.` nor `..`, which addresses
/// can't contain.
pub fn username(fields: &mut TextFields, text: &str) -> String {
    let name = text.trim().to_ascii_lowercase();
    let fits = (1..=30).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_'));
    if matches!(name.as_str(), "." | "..") {
        fields.refuse("username", "must not be '.' or '..'");
    }
    if !fits {
        fields.refuse("username", "must have 1 to 30 of the characters a-z, 0-9, '.' and '_'");
    }
    name
}

/// The account with a user name, visible or not.
pub(super) async fn by_username(read: &Read, name: &str) -> Result<Option<Unchecked<account::Model>>> {
    match read.find_text::<username::Entity>(name).await? {
        Some(found) => read.find(found.peek().account_id).await,
        None => Ok(None),
    }
}

/// The person with a user name.
pub async fn with_name(app: &App, viewer: Viewer, name: &str) -> Result<User> {
    let mut fields = TextFields::default();
    let name = username(&mut fields, name);
    fields.check()?;
    let read = app.cached();
    let account = by_username(&read, &name).await?.ok_or_else(no_account)?;
    views::account(app, &read, viewer, account.peek().id).await
}

/// Get a person by id.
#[utoipa::path(get, path = "/users/{id}", tag = "users", operation_id = "getUser",
    params(("id" = AccountId, Path)), security((), ("bearer" = [])),
    responses((status = 200, description = "The user.", body = User)))]
pub async fn get_user(
    State(app): State<App>,
    viewer: Viewer,
    Path(id): Path<AccountId>,
) -> Result<Json<User>> {
    views::account(&app, &app.cached(), viewer, id).await.map(Json)
}

/// The person to look up.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ByName {
    /// The person's user name.
    #[param(pattern = "^[A-Za-z0-9._]{1,30}$")]
    pub username: String,
}

/// Find a person by user name.
#[utoipa::path(get, path = "/users", tag = "users", operation_id = "findUser", params(ByName),
    security((), ("bearer" = [])),
    responses((status = 200, description = "The user.", body = User),
              (status = 404, description = "No user has this name.", body = Problem, content_type = "application/problem+json")))]
pub async fn find_user(
    State(app): State<App>,
    viewer: Viewer,
    Query(query): Query<ByName>,
) -> Result<Json<User>> {
    with_name(&app, viewer, &query.username).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for good in ["a", "Kevin", "a.b_c9", &"x".repeat(30)] {
            let mut fields = TextFields::default();
            assert_eq!(username(&mut fields, good), good.to_lowercase());
            fields.check().unwrap();
        }
        // The Kelvin sign lower-cases to k, and the dotless i looks like an i: both must be refused.
        for bad in [
            ".",
            "..",
            " . ",
            "",
            " ",
            "a b",
            "ä",
            "\u{212A}evin",
            "kev\u{131}n",
            "a\0",
            "a\u{200b}b",
            &"x".repeat(31),
        ] {
            let mut fields = TextFields::default();
            username(&mut fields, bad);
            assert!(fields.check().unwrap_err().is_invalid(), "{bad:?} was taken");
        }
    }
}
