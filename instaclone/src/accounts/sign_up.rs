//! Sign-up: the account and its user name commit together on the name's shard.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use tripod::access::Viewer;
use tripod::id::Shard;
use tripod::shard::{Claimed, Tx};
use tripod::web::{Json, Problem, Rule, Secret, hash_text, idempotency_key};
use tripod::{Error, Tripod};
use utoipa::ToSchema;

use super::account::{self, AccountId};
use super::session::{device, open_session};
use super::{User, by_username, credential, username};
use crate::text::{self, Texts};

/// New accounts of one network.
const SIGN_UPS: Rule = Rule::new("sign_up", 10, 3_600);

/// What a new account is made of.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewAccount {
    /// 1 to 30 of the characters a-z, 0-9, '.' and '_'; lower-cased.
    #[schema(pattern = "^[A-Za-z0-9._]{1,30}$")]
    pub username: String,
    /// 8 to 200 characters.
    #[schema(min_length = 8, max_length = 200)]
    pub password: String,
    /// For recovery; shown to nobody.
    #[schema(max_length = 254, format = Email)]
    pub email: Option<String>,
    /// At most 64 characters.
    #[schema(max_length = 64)]
    pub full_name: Option<String>,
}

/// A signed-in person.
#[derive(Debug, Serialize, ToSchema)]
pub struct SignedInUser {
    pub user: User,
    /// Send it with every request: `Authorization: Bearer TOKEN`. It is not shown again.
    pub token: String,
}

/// Sign up.
#[utoipa::path(post, path = "/accounts", tag = "accounts", operation_id = "signUp", request_body = NewAccount,
    responses((status = 201, description = "The account, logged in.", body = SignedInUser),
              (status = 409, description = "The user name is taken.", body = Problem, content_type = "application/problem+json")))]
pub async fn sign_up(
    State(tripod): State<Tripod>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(new): Json<NewAccount>,
) -> Result<Secret<(StatusCode, Json<SignedInUser>)>, Problem> {
    tripod.limits.take(SIGN_UPS, peer.ip()).await?;
    let mut texts = Texts::default();
    let name = text::username(&mut texts, &new.username);
    let full_name = texts.take("full_name", new.full_name.as_deref().unwrap_or_default(), 64);
    if !(8..=200).contains(&new.password.chars().count()) {
        texts.refuse("password", "must have 8 to 200 characters");
    }
    let email = new.email.as_deref().map(|email| texts.take("email", email, 254));
    if email.as_deref().is_some_and(|email| !is_address(email)) {
        texts.refuse("email", "must be an address such as kevin@example.org");
    }
    texts.check()?;

    let key = idempotency_key(&headers)?.map(hash_text);
    let password_hash = tripod.passwords.hash(new.password.clone()).await?;
    let row = account::ActiveModel {
        username: Set(name.clone()),
        full_name: Set(full_name),
        bio: Set(String::new()),
        avatar: Set(None),
        post_count: Set(0),
        deleted: Set(false),
        ..Default::default()
    };
    let credential = credential::ActiveModel {
        email: Set(email),
        password_hash: Set(password_hash),
        sign_up_key: Set(key),
        ..Default::default()
    };
    let made = create(&tripod, name.clone(), device(&headers), row, credential).await;
    let (id, token) = match made {
        Err(problem) if problem.status == StatusCode::CONFLICT => {
            repeated(&tripod, &headers, &name, new.password).await?.ok_or(problem)?
        }
        made => made?,
    };
    let account = tripod.shards.find(id).await?.ok_or_else(super::nobody)?;
    let user = User::present(&tripod, Viewer::Account(id.raw()), account).await?.ok_or_else(super::nobody)?;
    Ok(Secret((StatusCode::CREATED, Json(SignedInUser { user, token }))))
}

async fn create(
    tripod: &Tripod,
    name: String,
    device: String,
    row: account::ActiveModel,
    credential: credential::ActiveModel,
) -> Result<(AccountId, String), Problem> {
    let sessions = tripod.sessions.clone();
    tripod
        .shards
        .write(Shard::of_text(&name), move |tx| {
            Box::pin(async move {
                let id = claim(tx, &name, row, credential).await?;
                let token = sessions.open(tx, id, &device).await?;
                Ok((id, token))
            })
        })
        .await
}

/// The account, its credentials and its user name.
pub async fn claim(
    tx: &Tx<'_>,
    name: &str,
    row: account::ActiveModel,
    credential: credential::ActiveModel,
) -> Result<AccountId, Problem> {
    let id = tx.insert_new(|id| account::ActiveModel { id: Set(id), ..row.clone() }).await?;
    let of = credential::of(id);
    let proof = |id| credential::ActiveModel { id: Set(id), ..credential.clone() };
    if let Claimed::Before(_) = tx.claim(Some(of), proof).await? {
        return Err(Error::internal(format!("the new account {id} has credentials already")).into());
    }
    let whose = username::ActiveModel { account_id: Set(id), ..Default::default() };
    if !tx.claim_text(name, whose).await? {
        return Err(Problem::conflict(format!("The user name {name} is taken.")));
    }
    Ok(id)
}

/// A sign-up whose reply was lost and that is sent again: the same key and the same password.
/// Tokens are not kept, so the repeat gets one of its own.
async fn repeated(
    tripod: &Tripod,
    headers: &HeaderMap,
    name: &str,
    password: String,
) -> Result<Option<(AccountId, String)>, Problem> {
    let Some(key) = idempotency_key(headers)? else { return Ok(None) };
    let Some(account) = by_username(tripod, name).await? else { return Ok(None) };
    let id = account.peek().id;
    let Some(credential) = tripod.shards.find(credential::of(id)).await? else { return Ok(None) };
    let credential = credential.unguarded();
    let same_key = credential.sign_up_key == Some(hash_text(key));
    if !same_key || !tripod.passwords.verify(password, Some(credential.password_hash)).await? {
        return Ok(None);
    }
    let token = open_session(tripod, id, device(headers)).await?;
    Ok(Some((id, token)))
}

/// Whether it could be an address; only a mail to it can prove that it is one.
fn is_address(text: &str) -> bool {
    text.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty() && host.contains('.') && !text.contains(char::is_whitespace) && !host.contains('@')
    })
}
