//! One's own picture.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::IntoResponse;
use axum::response::Response;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use tripod::media::Upload;
use tripod::web::body::Whole;
use tripod::web::{Problem, SignedIn, content_hash};
use tripod::{Error, Tripod};

use super::account::{self, AccountId};
use super::{User, me, nobody};
use crate::posts::{ErasePost, Photo, name_file, take_upload};

/// Set your picture.
#[utoipa::path(put, path = "/me/avatar", tag = "accounts", operation_id = "setAvatar", security(("bearer" = [])),
    request_body(content_type = "application/octet-stream", description = "A JPEG, PNG or WebP picture; what it is called does not matter."),
    responses((status = 200, description = "Your profile as it is now.", body = User)))]
pub async fn set_avatar(
    State(tripod): State<Tripod>,
    me: SignedIn,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    take_upload(&tripod, &me).await?;
    let Whole(bytes) = Whole::from_request(request, &()).await?;
    change_avatar(&tripod, &me, &headers, bytes, "").await
}

/// Sets the picture that these bytes are, once for the key in these headers; `field` is what a
/// refusal names.
pub async fn change_avatar(
    tripod: &Tripod,
    me: &SignedIn,
    headers: &HeaderMap,
    bytes: Bytes,
    field: &str,
) -> Result<Response, Problem> {
    let content = content_hash(&Method::PUT, "/me/avatar", [bytes.as_ref()]);
    let processed = tripod.pictures.process(bytes).await.map_err(|error| name_file(error, field))?;
    let once = async |_| {
        let changed = async {
            let account: AccountId = me.account();
            let picture = [(processed, String::new())];
            let (pictures, upload) = Photo::store(tripod, account.shard(), picture).await?;
            if let Err(problem) = change(tripod, account, pictures, upload.clone()).await {
                // Unconfirmed, it may be in place; if it is not, it is deleted later.
                if !problem.unconfirmed {
                    upload.abandon().await?;
                }
                return Err(problem);
            }
            me::present(tripod, me).await
        };
        changed.await.into_response()
    };
    tripod.idempotency.once(me.0.account, headers, content, once).await
}

/// Puts the new picture in the old one's place; a job deletes the old one's files.
async fn change(
    tripod: &Tripod,
    id: AccountId,
    mut pictures: Vec<Photo>,
    upload: Upload,
) -> Result<(), Problem> {
    let queue = tripod.queue.clone();
    tripod
        .shards
        .write(id.shard(), move |tx| {
            Box::pin(async move {
                let of_account = account::Column::Id.eq(id).and(account::Column::Deleted.eq(false));
                let before = account::Entity::find()
                    .filter(of_account)
                    // Two changes at once: each must see what it replaces.
                    .lock_exclusive()
                    .one(tx.connection())
                    .await
                    .map_err(Error::from)?;
                let before = before.ok_or_else(nobody)?;
                let picture = Expr::value(pictures.pop());
                tx.update(id, |account| account.col_expr(account::Column::Avatar, picture)).await?;
                upload.keep(tx).await?;
                if let Some(old) = before.avatar {
                    queue.enqueue(tx, &ErasePost::files(&[old])).await?;
                }
                Ok(())
            })
        })
        .await
}
