//! Posting: the photos are made safe, stored, and only then does the post commit, together with
//! its fan-out.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, QueryFilter, UpdateMany};
use tripod::media::Upload;
use tripod::shard::Claimed;
use tripod::web::body::Multipart;
use tripod::web::{Json, Payer, Problem, Rule, SignedIn, Slot, content_hash};
use tripod::{Error, Tripod};

use super::draft::{Draft, NewPost};
use super::post::{self, Photos, PostId};
use super::{Photo, PostView, absent, present};
use crate::accounts::account::{self, AccountId};

/// Uploads of one account.
const UPLOADS: Rule = Rule::new("upload", 60, 3_600);

/// Post photos.
#[utoipa::path(post, path = "/posts", tag = "posts", operation_id = "createPost", security(("bearer" = [])),
    request_body(content = NewPost, content_type = "multipart/form-data"),
    responses((status = 201, description = "The post.", body = PostView)))]
pub async fn create_post(
    State(tripod): State<Tripod>,
    me: SignedIn,
    headers: HeaderMap,
    form: Multipart,
) -> Result<Response, Problem> {
    take_upload(&tripod, &me).await?;
    let mut draft = Draft::default();
    draft.read(&tripod, form).await?;
    draft.check()?;
    publish_once(&tripod, &me, draft, &headers).await
}

/// Takes an upload from the account's share.
pub async fn take_upload(tripod: &Tripod, me: &SignedIn) -> Result<(), Problem> {
    tripod.limits.take(UPLOADS, Payer::Account(me.0.account)).await
}

/// Publishes a draft that was checked, once for the key in these headers.
pub async fn publish_once(
    tripod: &Tripod,
    me: &SignedIn,
    draft: Draft,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let content = content_hash(&Method::POST, "/posts", draft.digests.iter().map(|digest| digest.as_slice()));
    let once = async |slot| publish(tripod, me, draft, slot).await.into_response();
    tripod.idempotency.once(me.0.account, headers, content, once).await
}

async fn publish(
    tripod: &Tripod,
    me: &SignedIn,
    draft: Draft,
    slot: Slot,
) -> Result<(StatusCode, Json<PostView>), Problem> {
    let author: AccountId = me.account();
    let reserved = slot.reserve::<post::Entity>(author.shard()).await?;
    let pictures = draft.pictures.into_iter().zip(draft.alts);
    let (photos, upload) = Photo::store(tripod, author.shard(), pictures).await?;
    let row = post::ActiveModel {
        author_id: Set(author),
        caption: Set(draft.caption),
        location: Set(draft.location),
        photos: Set(Photos(photos)),
        comment_count: Set(0),
        ..Default::default()
    };
    let id = match insert(tripod, author, reserved, row, Some(upload.clone())).await {
        Ok(Claimed::New(id)) => id,
        Ok(Claimed::Before(earlier)) => {
            // An earlier attempt under this key got this far; its photos are the ones that count.
            upload.abandon().await?;
            if earlier.author_id != author {
                return Err(Error::unavailable("the id reserved for a post was taken by another").into());
            }
            earlier.id
        }
        // Its post may be there, with these photos; if it is not, they are deleted later.
        Err(problem) if problem.unconfirmed => return Err(problem),
        Err(problem) => {
            upload.abandon().await?;
            return Err(problem);
        }
    };
    let row = tripod.shards.find(id).await?;
    let view = present(tripod, me.viewer(), row.into_iter().collect()).await?.pop();
    Ok((StatusCode::CREATED, Json(view.ok_or_else(absent)?)))
}

/// The post, with the files of this upload, its author's count and its fan-out: one transaction on the
/// author's shard.
pub async fn insert(
    tripod: &Tripod,
    author: AccountId,
    reserved: Option<PostId>,
    row: post::ActiveModel,
    upload: Option<Upload>,
) -> Result<Claimed<post::Entity>, Problem> {
    let timelines = tripod.timelines.clone();
    tripod
        .shards
        .write(author.shard(), move |tx| {
            Box::pin(async move {
                let claimed =
                    tx.claim(reserved, |id| post::ActiveModel { id: Set(id), ..row.clone() }).await?;
                if let Claimed::New(id) = claimed {
                    let more = Expr::col(account::Column::PostCount).add(1);
                    let count = |author: UpdateMany<account::Entity>| {
                        author
                            .filter(account::Column::Deleted.eq(false))
                            .col_expr(account::Column::PostCount, more)
                    };
                    if !tx.update(author, count).await? {
                        return Err(Problem::unauthenticated("The account has been deleted."));
                    }
                    if let Some(upload) = upload {
                        upload.keep(tx).await?;
                    }
                    timelines.publish::<post::Entity>(tx, id, author).await?;
                }
                Ok(claimed)
            })
        })
        .await
}
