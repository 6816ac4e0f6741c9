//! What most apps need next: taking back, comments, a job, deletion, and a new password.

// ANCHOR: use
use std::collections::HashMap;

use axum::{extract::State, http::StatusCode};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use tripod::access::{Everybody, Unchecked, Viewer, visible};
use tripod::db::{CreateTables, Migration, TableDef};
use tripod::id::{Id, IdSet};
use tripod::queue::{JobRun, Run};
use tripod::shard::Read;
use tripod::web::{IdempotencyKey, Json, Keyed, Page, PageQuery, PasswordChange, Path, SignedIn, text_field};
use tripod::{App, BoxError, Edge, Error, Job, Result};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::entity::{CuttingId, Follow, GardenerId, cutting, gardener, may_see};
// ANCHOR_END: use

// ANCHOR: unfollow
/// Unfollow a gardener.
#[utoipa::path(delete, path = "/gardeners/{id}/follow", params(("id" = GardenerId, Path)), responses((status = 204)))]
async fn unfollow(State(app): State<App>, me: SignedIn, Path(id): Path<GardenerId>) -> Result<StatusCode> {
    app.disconnect::<Follow>(me.id(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: unfollow

// ANCHOR: password
/// Change your password. Your other sessions end.
#[utoipa::path(put, path = "/me/password", responses((status = 204)))]
async fn change_password(
    State(app): State<App>,
    me: SignedIn,
    Json(change): Json<PasswordChange>,
) -> Result<StatusCode> {
    app.passwords.change(&me, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: password

// ANCHOR: comment
pub type CommentId = Id<comment::Entity>;

pub mod comment {
    use sea_orm::entity::prelude::*;
    use tripod::{NoRelations, Sharded, id::Id};

    /// It lives with its cutting.
    #[derive(Clone, Debug, DeriveEntityModel, NoRelations, Sharded)]
    #[sea_orm(table_name = "comment")]
    #[sharded(by = cutting_id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub cutting_id: super::CuttingId,
        pub author_id: super::GardenerId,
        pub text: String,
    }
}

pub const COMMENTS: Migration = || {
    let comment = TableDef::sharded("comment").id_of("cutting_id").id_of("author_id").text("text");
    CreateTables::new("m20261127_000002_comments")
        .create(comment.index("comment_by_cutting", &["cutting_id", "id"]))
        .boxed()
};
// ANCHOR_END: comment

// ANCHOR: write
#[derive(Deserialize, ToSchema)]
struct NewComment {
    text: String,
}

/// Comment on a cutting.
#[utoipa::path(post, path = "/cuttings/{id}/comments", params(("id" = CuttingId, Path), IdempotencyKey),
    responses((status = 201, body = CommentView)))]
async fn write_comment(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CuttingId>,
    Keyed(once, Json(new)): Keyed<Json<NewComment>>,
) -> Result<(StatusCode, Json<CommentView>)> {
    let text = text_field("text", &new.text, 1..=1_000)?;
    let (author, viewer) = (me.id(), me.viewer());
    let written = once.write(id, move |tx| async move {
        // Locked, so that no comment outlives a cutting that is deleted at the same time.
        let cutting = tx.find_for_update(id).await?.and_then(|row| row.visible_to(viewer, &may_see));
        let cutting = cutting.ok_or_else(|| Error::absent("There is no such cutting."))?;
        let row = comment::ActiveModel {
            cutting_id: Set(id),
            author_id: Set(author),
            text: Set(text),
            ..Default::default()
        };
        let comment = tx.insert(row).await?;
        tx.enqueue(TellGardener { gardener: cutting.gardener_id, comment }).await?;
        Ok(comment)
    });
    let (comment, read) = (written.await?, app.primary());
    let view = read.present(comment, |rows| present(&read, viewer, rows)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}
// ANCHOR_END: write

// ANCHOR: job
/// A gardener was told of a comment on a cutting of theirs.
#[derive(Edge)]
#[edge(name = "notice", from = gardener::Entity, to = comment::Entity)]
pub struct Notice;

/// Tells a gardener of a comment. It may run twice: an edge that exists is not added again.
#[derive(Serialize, Deserialize, Job)]
#[job(name = "tell_gardener")]
pub struct TellGardener {
    gardener: GardenerId,
    comment: CommentId,
}

impl Run<App> for TellGardener {
    async fn run(&mut self, app: &App, _: &JobRun) -> Result<(), BoxError> {
        app.connect::<Notice>(self.gardener, self.comment).await?;
        Ok(())
    }
}
// ANCHOR_END: job

// ANCHOR: lists
#[derive(Serialize, ToSchema)]
struct CommentView {
    id: CommentId,
    author: String,
    text: String,
}

type Comments = Vec<Unchecked<comment::Model>>;

/// Whoever sees a cutting sees its comments.
async fn present(read: &Read, viewer: Viewer, rows: Comments) -> Result<Vec<Option<CommentView>>> {
    let cuttings: Vec<CuttingId> = rows.iter().map(|row| row.peek().cutting_id).collect();
    let authors: Vec<GardenerId> = rows.iter().map(|row| row.peek().author_id).collect();
    let cuttings = visible(read.find_many(&cuttings).await?, viewer, &may_see);
    let seen: IdSet<cutting::Entity> = cuttings.iter().map(|row| row.id).collect();
    let authors = visible(read.find_many(&authors).await?, viewer, &Everybody);
    let names: HashMap<GardenerId, &String> = authors.iter().map(|row| (row.id, &row.name)).collect();
    let may_read = |_: Viewer, comment: &comment::Model| seen.contains(&comment.cutting_id);
    let view = |row: Unchecked<comment::Model>| {
        let comment = row.visible_to(viewer, &may_read)?;
        let author = names.get(&comment.author_id)?.to_string();
        Some(CommentView { id: comment.id, author, text: comment.text.clone() })
    };
    Ok(rows.into_iter().map(view).collect())
}

/// The comments on a cutting, oldest first.
#[utoipa::path(get, path = "/cuttings/{id}/comments", params(("id" = CuttingId, Path), PageQuery),
    responses((status = 200, body = Page<CommentView>)))]
async fn comments(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CuttingId>,
    page: PageQuery,
) -> Result<Json<Page<CommentView>>> {
    let read = app.cached();
    read.visible(id, me.viewer(), &may_see).await?;
    let list = |part| read.list::<comment::Entity>(id, part);
    page.oldest_first().fill(list, |rows| present(&read, me.viewer(), rows)).await.map(Json)
}

/// The comments that you were told of, newest first.
#[utoipa::path(get, path = "/notices", params(PageQuery), responses((status = 200, body = Page<CommentView>)))]
async fn notices(State(app): State<App>, me: SignedIn, page: PageQuery) -> Result<Json<Page<CommentView>>> {
    let read = app.cached();
    let list = |part| read.target_rows::<Notice>(me.id(), part);
    page.fill(list, |rows| present(&read, me.viewer(), rows)).await.map(Json)
}
// ANCHOR_END: lists

// ANCHOR: delete
/// Delete a cutting of yours, with its photo and its comments.
#[utoipa::path(delete, path = "/cuttings/{id}", params(("id" = CuttingId, Path)), responses((status = 204)))]
async fn delete_cutting(
    State(app): State<App>,
    me: SignedIn,
    Path(id): Path<CuttingId>,
) -> Result<StatusCode> {
    let cutting = app.primary().visible(id, me.viewer(), &may_see).await?;
    if cutting.gardener_id != me.id() {
        return Err(Error::forbidden("It is not your cutting."));
    }
    let files = cutting.photo.keys()?;
    let deleted = app.write(id, move |tx| async move {
        tx.delete_with_edges(id).await?;
        tx.delete_files(files).await?;
        tx.delete_owned::<comment::Entity>(id).await
    });
    deleted.await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: delete

// ANCHOR: api
pub fn api() -> OpenApiRouter<App> {
    let api = OpenApiRouter::new().routes(routes!(unfollow)).routes(routes!(change_password));
    let api = api.routes(routes!(write_comment, comments)).routes(routes!(notices));
    api.routes(routes!(delete_cutting))
}
// ANCHOR_END: api
