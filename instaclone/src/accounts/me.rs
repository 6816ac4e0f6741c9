//! Your own profile.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use tripod::access::Viewer;
use tripod::web::{IdempotencyKey, Json, Keyed, Once, SignedIn, TextFields};
use tripod::{App, Result};
use utoipa::ToSchema;

use super::EraseAccount;
use crate::entity::{AccountId, credential};
use crate::follows::AcceptRequests;
use crate::views::{self, User};
use crate::visibility::no_account;

/// The fields to change; omitted fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
pub struct ProfileChange {
    /// At most 64 characters.
    #[schema(max_length = 64)]
    pub full_name: Option<String>,
    /// At most 150 characters.
    #[schema(max_length = 150)]
    pub bio: Option<String>,
    /// Whether only accepted followers see your posts. When it becomes `false`, all requests to follow you
    /// are accepted.
    pub is_private: Option<bool>,
}

/// The texts of a profile after a change.
#[derive(Serialize, Deserialize)]
pub struct ProfileTexts {
    full_name: String,
    bio: String,
}

/// The viewer's own profile, up to date.
pub async fn own(app: &App, me: AccountId) -> Result<User> {
    views::account(app, &app.primary(), Viewer::from(me), me).await
}

/// Changes the viewer's own profile, and returns its texts after the change.
pub async fn change_profile(me: AccountId, once: &Once, change: ProfileChange) -> Result<ProfileTexts> {
    let mut fields = TextFields::default();
    let full_name = change.full_name.map(|text| fields.text("full_name", &text, 0..=64));
    let bio = change.bio.map(|text| fields.text("bio", &text, 0..=150));
    let is_private = change.is_private;
    fields.check()?;
    let change = once.write(me, move |tx| async move {
        let mut becomes_public = false;
        let changed = tx.update(me, |account| {
            becomes_public = account.is_private && is_private == Some(false);
            account.is_private = is_private.unwrap_or(account.is_private);
            account.full_name = full_name.unwrap_or(std::mem::take(&mut account.full_name));
            account.bio = bio.unwrap_or(std::mem::take(&mut account.bio));
        });
        let account = changed.await?.ok_or_else(no_account)?;
        if becomes_public {
            tx.enqueue(AcceptRequests::new(me)).await?;
        }
        Ok(ProfileTexts { full_name: account.full_name, bio: account.bio })
    });
    change.await
}

/// Deletes an account: it disappears for everyone at once, and a job erases its data.
pub async fn delete(app: &App, me: AccountId) -> Result<()> {
    let delete = app.write(me, move |tx| async move {
        tx.forget_account(me).await?;
        // Deleted by another request.
        let Some(account) = tx.find_for_update(me).await? else { return Ok(()) };
        tx.delete(me).await?;
        tx.delete(credential::of(me)).await?;
        if let Some(avatar) = &account.peek().avatar {
            tx.delete_files(avatar.keys()?).await?;
        }
        tx.enqueue(EraseAccount::new(me)).await?;
        Ok(())
    });
    delete.await
}

/// Get your profile.
#[utoipa::path(get, path = "/me", tag = "accounts", operation_id = "getMe", security(("bearer" = [])),
    responses((status = 200, description = "Your profile.", body = User)))]
pub async fn get_me(State(app): State<App>, me: SignedIn) -> Result<Json<User>> {
    own(&app, me.id()).await.map(Json)
}

/// Change your profile.
#[utoipa::path(patch, path = "/me", tag = "accounts", operation_id = "updateMe", security(("bearer" = [])),
    params(IdempotencyKey), request_body = ProfileChange,
    responses((status = 200, description = "Your updated profile.", body = User)))]
pub async fn update_me(
    State(app): State<App>,
    me: SignedIn,
    Keyed(once, Json(change)): Keyed<Json<ProfileChange>>,
) -> Result<Json<User>> {
    let texts = change_profile(me.id(), &once, change).await?;
    let mut user = own(&app, me.id()).await?;
    user.author.full_name = texts.full_name.into();
    user.bio = texts.bio;
    Ok(Json(user))
}

/// Delete your account: it disappears for everyone at once, and its data is erased.
#[utoipa::path(delete, path = "/me", tag = "accounts", operation_id = "deleteMe", security(("bearer" = [])),
    responses((status = 204, description = "Your account is deleted.")))]
pub async fn delete_me(State(app): State<App>, me: SignedIn) -> Result<StatusCode> {
    delete(&app, me.id()).await?;
    Ok(StatusCode::NO_CONTENT)
}
