//! One's own profile.

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::UpdateMany;
use sea_orm::sea_query::Expr;
use serde::Deserialize;
use tripod::web::{Json, Problem, SignedIn};
use tripod::{Error, Tripod};
use utoipa::ToSchema;

use super::account::{self, AccountId};
use super::{EraseAccount, User, credential, nobody};
use crate::text::Texts;

/// What to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ProfileChange {
    /// At most 64 characters.
    #[schema(max_length = 64)]
    pub full_name: Option<String>,
    /// At most 150 characters.
    #[schema(max_length = 150)]
    pub bio: Option<String>,
    /// Private accounts are not available yet: only `false` is taken.
    pub is_private: Option<bool>,
}

/// Yourself.
#[utoipa::path(get, path = "/me", tag = "accounts", operation_id = "getMe", security(("bearer" = [])),
    responses((status = 200, description = "Your profile.", body = User)))]
pub async fn get_me(State(tripod): State<Tripod>, me: SignedIn) -> Result<Json<User>, Problem> {
    present(&tripod, &me).await
}

/// Change your profile.
#[utoipa::path(patch, path = "/me", tag = "accounts", operation_id = "updateMe", security(("bearer" = [])),
    request_body = ProfileChange,
    responses((status = 200, description = "Your profile as it is now.", body = User)))]
pub async fn update_me(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Json(change): Json<ProfileChange>,
) -> Result<Json<User>, Problem> {
    let mut texts = Texts::default();
    let full_name = change.full_name.map(|text| texts.take("full_name", &text, 64));
    let bio = change.bio.map(|text| texts.take("bio", &text, 150));
    if change.is_private == Some(true) {
        texts.refuse("is_private", "can't be true yet: private accounts are not available");
    }
    texts.check()?;
    let id: AccountId = me.account();
    let texts = [(account::Column::FullName, full_name), (account::Column::Bio, bio)];
    let change = move |mut update: UpdateMany<account::Entity>| {
        for (column, text) in texts {
            if let Some(text) = text {
                update = update.col_expr(column, Expr::value(text));
            }
        }
        update
    };
    tripod
        .shards
        .write::<_, Error, _>(id.shard(), move |tx| Box::pin(async move { tx.update(id, change).await }))
        .await?;
    present(&tripod, &me).await
}

/// Delete your account: it is gone for everybody at once, and what it made is erased.
#[utoipa::path(delete, path = "/me", tag = "accounts", operation_id = "deleteMe", security(("bearer" = [])),
    responses((status = 204, description = "Your account is deleted.")))]
pub async fn delete_me(State(tripod): State<Tripod>, me: SignedIn) -> Result<StatusCode, Problem> {
    let id: AccountId = me.account();
    let (queue, sessions) = (tripod.queue.clone(), tripod.sessions.clone());
    tripod
        .shards
        .write::<_, Error, _>(id.shard(), move |tx| {
            Box::pin(async move {
                let blank = |update: UpdateMany<account::Entity>| {
                    update
                        .col_expr(account::Column::Deleted, Expr::value(true))
                        .col_expr(account::Column::FullName, Expr::value(""))
                        .col_expr(account::Column::Bio, Expr::value(""))
                };
                tx.update(id, blank).await?;
                tx.delete(credential::of(id)).await?;
                sessions.close_all(tx, id.raw()).await?;
                queue.enqueue(tx, &EraseAccount::new(id)).await?;
                Ok(())
            })
        })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The profile of whoever asks.
pub(super) async fn present(tripod: &Tripod, me: &SignedIn) -> Result<Json<User>, Problem> {
    let account = tripod.shards.find(me.account::<account::Entity>()).await?.ok_or_else(nobody)?;
    User::present(tripod, me.viewer(), account).await?.map(Json).ok_or_else(nobody)
}
