//! Sign-up: the account and its user name commit together on the name's shard.

use axum::extract::State;
use axum::response::IntoResponse;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;
use tripod::id::Shard;
use tripod::shard::Tx;
use tripod::web::{
    ClientInfo, IdempotencyKey, Json, LoggedIn, PasswordHash, Problem, RateLimit, TextFields, hash_text,
};
use tripod::{App, Error, Result};
use utoipa::ToSchema;

use super::users::{Entered, SignedInUser, by_username, username};
use crate::entity::{AccountId, account, credential, username as name_entity};

/// New accounts per network.
const SIGN_UPS: RateLimit = RateLimit::new("sign_up", 10, 3_600);

/// The fields of a new account.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewAccount {
    /// 1 to 30 of the characters a-z, 0-9, '.' and '_'; lower-cased.
    #[schema(pattern = "^[A-Za-z0-9._]{1,30}$")]
    pub username: String,
    /// 8 to 200 characters.
    #[schema(min_length = 8, max_length = 200)]
    pub password: String,
    /// For recovery; never shown.
    #[schema(max_length = 254, format = Email)]
    pub email: Option<String>,
    /// At most 64 characters.
    #[schema(max_length = 64)]
    pub full_name: Option<String>,
}

/// Signs up. If the reply was lost, the request can be repeated with the same key.
pub async fn sign_up_as(
    app: &App,
    client: ClientInfo,
    key: Option<&[u8]>,
    new: NewAccount,
) -> Result<Entered> {
    app.limits.check(SIGN_UPS, client.address).await?;
    let mut fields = TextFields::default();
    let name = username(&mut fields, &new.username);
    let full_name = fields.text("full_name", new.full_name.as_deref().unwrap_or_default(), 0..=64);
    fields.password("password", &new.password);
    let email = new.email.as_deref().map(|email| fields.text("email", email, 0..=254));
    if email.as_deref().is_some_and(|email| !is_address(email)) {
        fields.refuse("email", "must be an address such as kevin@example.org");
    }
    fields.check()?;

    let row = account::ActiveModel {
        username: Set(name.clone()),
        full_name: Set(full_name),
        bio: Set(String::new()),
        avatar: Set(None),
        post_count: Set(0),
        is_private: Set(false),
        suspended: Set(false),
        ..Default::default()
    };
    let credential = credential::ActiveModel {
        email: Set(email),
        sign_up_key: Set(key.map(hash_text)),
        ..Default::default()
    };
    let password = app.passwords.hash(new.password.clone()).await?;
    let (here, claimed) = (client.clone(), name.clone());
    let made = app.write(Shard::of_text(&name), move |tx| async move {
        let account = claim(&tx, &claimed, row, credential, password).await?;
        let token = tx.open_session(account, &here.device).await?;
        Ok(LoggedIn { account, token, device: tx.remember_device(account, &here).await? })
    });
    let entered = match made.await {
        Err(error) if error.is_conflict() => match repeated(app, key, &name).await? {
            Some(id) => match app.passwords.log_in(client, &name, Some(id), new.password).await {
                Err(wrong) if wrong.is_unauthenticated() => return Err(error),
                logged_in => logged_in?,
            },
            None => return Err(error),
        },
        made => made?,
    };
    Entered::new(app, &app.primary(), entered).await
}

/// Inserts the account, its credentials, its password and its user name.
pub async fn claim(
    tx: &Tx,
    name: &str,
    row: account::ActiveModel,
    credential: credential::ActiveModel,
    password: PasswordHash,
) -> Result<AccountId> {
    let id = tx.insert(row).await?;
    tx.insert(credential::ActiveModel { id: Set(credential::of(id)), ..credential }).await?;
    tx.set_password(id, password).await?;
    let whose = name_entity::ActiveModel { account_id: Set(id), ..Default::default() };
    match tx.claim_text(name, whose).await? {
        true => Ok(id),
        false => Err(Error::conflict(format!("The user name {name} is taken."))),
    }
}

/// The account of an earlier sign-up with this key, if its reply was lost and the request is repeated.
/// Tokens are not stored, so a repeat with the right password gets a new one.
async fn repeated(app: &App, key: Option<&[u8]>, name: &str) -> Result<Option<AccountId>> {
    let read = app.primary();
    let Some(key) = key else { return Ok(None) };
    let Some(account) = by_username(&read, name).await? else { return Ok(None) };
    let id = account.peek().id;
    let credential = read.find(credential::of(id)).await?;
    let same_key = |key_hash: Option<String>| key_hash == Some(hash_text(key));
    Ok(credential.filter(|found| same_key(found.peek().sign_up_key.clone())).map(|_| id))
}

/// Whether the text could be an email address; only an email to it can prove that it is.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) && !host.contains('@')
    })
}

/// Sign up.
#[utoipa::path(post, path = "/accounts", tag = "accounts", operation_id = "signUp", request_body = NewAccount,
    params(IdempotencyKey), security(()),
    responses((status = 201, description = "The account, logged in.", body = SignedInUser),
              (status = 409, description = "The user name is taken.", body = Problem, content_type = "application/problem+json")))]
pub async fn sign_up(
    State(app): State<App>,
    client: ClientInfo,
    key: IdempotencyKey,
    Json(new): Json<NewAccount>,
) -> Result<impl IntoResponse> {
    sign_up_as(&app, client, key.as_bytes(), new).await?.reply(&app)
}
