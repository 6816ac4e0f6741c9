//! Your own picture.

use axum::body::Bytes;
use axum::extract::State;
use tripod::web::body::BodyBytes;
use tripod::web::{IdempotencyKey, Json, Keyed, Once};
use tripod::{App, Result};

use super::own;
use crate::entity::AccountId;
use crate::posts::Uploader;
use crate::views::User;
use crate::visibility::no_account;

/// Replaces the account's picture; a job deletes the old files. An error names `field`.
pub async fn change_avatar(app: &App, me: AccountId, once: &Once, bytes: Bytes, field: &str) -> Result<()> {
    let change = async {
        let processed = app.pictures.process(bytes).await.map_err(|error| error.at_field(field))?;
        let (picture, upload) = app.store_picture(me, processed, "").await?;
        let change = once.write(me, move |tx| async move {
            let mut old = None;
            let account = tx.update(me, |account| old = account.avatar.replace(picture));
            account.await?.ok_or_else(no_account)?;
            tx.keep(upload).await?;
            if let Some(old) = old {
                tx.delete_files(old.keys()?).await?;
            }
            Ok(())
        });
        change.await
    };
    once.earlier_or(me, change).await
}

/// Set your picture.
#[utoipa::path(put, path = "/me/avatar", tag = "accounts", operation_id = "setAvatar", security(("bearer" = [])),
    params(IdempotencyKey),
    request_body(content_type = "application/octet-stream", description = "A JPEG, PNG or WebP picture. Its declared type does not matter."),
    responses((status = 200, description = "Your updated profile.", body = User)))]
pub async fn set_avatar(
    State(app): State<App>,
    Uploader(me): Uploader,
    Keyed(once, BodyBytes(bytes)): Keyed<BodyBytes>,
) -> Result<Json<User>> {
    change_avatar(&app, me.id(), &once, bytes, "").await?;
    own(&app, me.id()).await.map(Json)
}
