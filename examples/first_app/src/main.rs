//! A club of gardeners who share cuttings of their plants: the app of the guide's chapter "Your first app".

// ANCHOR: use
mod entity;
mod more;
mod pages;
mod tags;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use axum::{body::Bytes, extract::State, http::StatusCode};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use tripod::access::{Everybody, Unchecked, Viewer, visible};
use tripod::app::AppBuilder;
use tripod::id::Shard;
use tripod::shard::Read;
use tripod::web::{
    ClientInfo, IdempotencyKey, Json, Keyed, LoggedIn, MultipartForm, NoStore, Once, Page, PageQuery,
};
use tripod::web::{Path, SignedIn, TextFields, line_field, text_field};
use tripod::{App, Result};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use entity::{CuttingId, Follow, GardenerId, TABLES, Want, cutting, gardener, may_see};
// ANCHOR_END: use

// ANCHOR: join
#[derive(Deserialize, ToSchema)]
struct Credentials {
    name: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
struct Member {
    id: GardenerId,
    token: String,
}

/// Join the club.
#[utoipa::path(post, path = "/gardeners", security(()), responses((status = 201, body = Member)))]
async fn join(
    State(app): State<App>,
    client: ClientInfo,
    Json(new): Json<Credentials>,
) -> Result<NoStore<(StatusCode, Json<Member>)>> {
    let mut fields = TextFields::default();
    let name = fields.line("name", &new.name.to_lowercase(), 1..=30);
    fields.password("password", &new.password);
    fields.check()?;
    let password = app.passwords.hash(new.password).await?;
    let joined = app.write(Shard::of_text(&name), move |tx| async move {
        let id = tx.insert(gardener::ActiveModel { name: Set(name.clone()), ..Default::default() }).await?;
        tx.claim_name(&name, id).await?;
        tx.set_password(id, password).await?;
        Ok(Member { id, token: tx.open_session(id, &client.device).await? })
    });
    Ok(NoStore((StatusCode::CREATED, Json(joined.await?))))
}
// ANCHOR_END: join

// ANCHOR: log_in
/// Logs in with a name and a password.
async fn enter(app: &App, client: ClientInfo, given: Credentials) -> Result<Member> {
    let name = line_field("name", &given.name.to_lowercase(), 1..=30)?;
    let id = app.primary().find_by_name::<gardener::Entity>(&name).await?;
    let LoggedIn { account, token, .. } = app.passwords.log_in(client, &name, id, given.password).await?;
    Ok(Member { id: account, token })
}

/// Log in.
#[utoipa::path(post, path = "/sessions", security(()), responses((status = 201, body = Member)))]
async fn log_in(
    State(app): State<App>,
    client: ClientInfo,
    Json(given): Json<Credentials>,
) -> Result<NoStore<(StatusCode, Json<Member>)>> {
    Ok(NoStore((StatusCode::CREATED, Json(enter(&app, client, given).await?))))
}

/// Log out.
#[utoipa::path(delete, path = "/sessions/current", responses((status = 204)))]
async fn log_out(State(app): State<App>, SignedIn(session): SignedIn) -> Result<StatusCode> {
    app.sessions.close(session.account, session.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: log_in

// ANCHOR: follow
/// Follow a gardener.
#[utoipa::path(put, path = "/gardeners/{id}/follow", params(("id" = GardenerId, Path)), responses((status = 204)))]
async fn follow(State(app): State<App>, me: SignedIn, Path(id): Path<GardenerId>) -> Result<StatusCode> {
    let them = app.cached().visible(id, me.viewer(), &Everybody).await?;
    app.connect::<Follow>(me.id(), them.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Say that you want a cutting.
#[utoipa::path(put, path = "/cuttings/{id}/want", params(("id" = CuttingId, Path)), responses((status = 204)))]
async fn want(State(app): State<App>, me: SignedIn, Path(id): Path<CuttingId>) -> Result<StatusCode> {
    let cutting = app.cached().visible(id, me.viewer(), &may_see).await?;
    app.connect::<Want>(me.id(), cutting.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: follow

// ANCHOR: share
#[derive(Deserialize, ToSchema)]
struct NewCutting {
    #[schema(value_type = String, format = Binary)]
    photo: Bytes,
    #[serde(default)]
    caption: String,
    #[serde(default)]
    private: bool,
}

/// Publishes the cutting in a form.
async fn publish(app: &App, me: GardenerId, once: Once, new: NewCutting) -> Result<CuttingId> {
    let caption = text_field("caption", &new.caption, 0..=500)?;
    let publish = async {
        let picture = app.pictures.process(new.photo).await.map_err(|error| error.at_field("photo"))?;
        let (photo, upload) = app.store_picture(me, picture, &caption).await?;
        let row = cutting::ActiveModel {
            gardener_id: Set(me),
            caption: Set(caption),
            photo: Set(photo),
            private: Set(new.private),
            ..Default::default()
        };
        let write = once.write(me, move |tx| async move {
            tx.keep(upload).await?;
            tx.insert(row).await
        });
        write.await
    };
    once.earlier_or(me, publish).await
}

/// Share a cutting.
#[utoipa::path(post, path = "/cuttings", params(IdempotencyKey),
    request_body(content = NewCutting, content_type = "multipart/form-data"),
    responses((status = 201, body = CuttingView)))]
async fn share(
    State(app): State<App>,
    me: SignedIn,
    Keyed(once, MultipartForm(new)): Keyed<MultipartForm<NewCutting>>,
) -> Result<(StatusCode, Json<CuttingView>)> {
    let id = publish(&app, me.id(), once, new).await?;
    let read = app.primary();
    let view = read.present(id, |rows| present(&app, &read, me.viewer(), rows)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}
// ANCHOR_END: share

// ANCHOR: view
#[derive(Serialize, ToSchema)]
struct CuttingView {
    id: CuttingId,
    gardener: String,
    caption: String,
    photo_url: String,
    wants: u64,
    /// Whether you want it.
    wanted: bool,
}

type Cuttings = Vec<Unchecked<cutting::Model>>;

async fn present(app: &App, read: &Read, viewer: Viewer, rows: Cuttings) -> Result<Vec<Option<CuttingView>>> {
    let ids: Vec<CuttingId> = rows.iter().map(|row| row.peek().id).collect();
    let owners: Vec<GardenerId> = rows.iter().map(|row| row.peek().gardener_id).collect();
    let wants = read.source_counts::<Want>(&ids).await?;
    let wanted = read.targets_among::<Want>(viewer.id(), &ids).await?;
    let gardeners = visible(read.find_many(&owners).await?, viewer, &Everybody);
    let names: HashMap<GardenerId, &String> = gardeners.iter().map(|row| (row.id, &row.name)).collect();
    let view = |row: Unchecked<cutting::Model>| {
        let cutting = row.visible_to(viewer, &may_see)?;
        Some(CuttingView {
            id: cutting.id,
            gardener: names.get(&cutting.gardener_id)?.to_string(),
            caption: cutting.caption.clone(),
            photo_url: app.media_url(&cutting.photo.files.first()?.key),
            wants: wants.get(&cutting.id).copied().unwrap_or_default(),
            wanted: wanted.contains(&cutting.id),
        })
    };
    Ok(rows.into_iter().map(view).collect())
}
// ANCHOR_END: view

// ANCHOR: feed
/// A gardener's feed: cuttings of the gardeners they follow and their own, newest first.
async fn feed_of(app: &App, me: &SignedIn, page: PageQuery) -> Result<Page<CuttingView>> {
    let read = app.cached().available();
    let timeline = |part| read.timeline::<cutting::Entity>(me.id(), part);
    page.fill(timeline, |rows| present(app, &read, me.viewer(), rows)).await
}

/// Your feed.
#[utoipa::path(get, path = "/feed", params(PageQuery), responses((status = 200, body = Page<CuttingView>)))]
async fn feed(State(app): State<App>, me: SignedIn, page: PageQuery) -> Result<Json<Page<CuttingView>>> {
    feed_of(&app, &me, page).await.map(Json)
}
// ANCHOR_END: feed

// ANCHOR: main
fn app() -> AppBuilder {
    let api = OpenApiRouter::new().routes(routes!(join)).routes(routes!(log_in)).routes(routes!(log_out));
    let api = api.routes(routes!(follow)).routes(routes!(want)).routes(routes!(feed));
    let api = api.merge(more::api()).merge(tags::api());
    App::builder("cuttings", env!("CARGO_PKG_VERSION"))
        .migrations(&[TABLES, more::COMMENTS])
        .entity::<gardener::Entity>()
        .entity::<cutting::Entity>()
        .entity::<more::comment::Entity>()
        .index::<tags::CuttingByTag>()
        .edge::<Follow>()
        .edge::<Want>()
        .edge::<more::Notice>()
        .job::<more::TellGardener>()
        .routes(OpenApiRouter::new().nest("/api/v1", api))
        .uploads(OpenApiRouter::new().nest("/api/v1", OpenApiRouter::new().routes(routes!(share))))
        .pages(pages::pages())
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    app().run().await
}
// ANCHOR_END: main
