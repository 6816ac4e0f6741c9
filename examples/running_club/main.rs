//! A running club on one page: runners follow each other, log runs and cheer them.

#[cfg(test)]
mod tests;

use axum::{extract::State, http::StatusCode};
use sea_orm::ActiveValue::Set;
use serde::{Deserialize, Serialize};
use tripod::access::{Everybody, Unchecked, Viewer};
use tripod::app::{App, AppBuilder};
use tripod::db::{CreateTables, Migration, TableDef};
use tripod::graph::SourceWalk;
use tripod::id::{Id, Shard};
use tripod::queue::{JobRun, Run};
use tripod::shard::Read;
use tripod::web::{IdempotencyKey, Json, Keyed, NoStore, Page, PageQuery, Path, SignedIn};
use tripod::web::{line_field, text_field};
use tripod::{BoxError, Edge, Job, Result};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

type RunnerId = Id<runner::Entity>;
type RunId = Id<run::Entity>;
type Runs = Vec<Unchecked<run::Model>>;

// ANCHOR: tables
mod runner {
    use sea_orm::entity::prelude::*;
    use tripod::{NoRelations, Sharded, id::Id};

    /// A runner lives on the shard of the name's hash, together with the name.
    #[derive(Clone, Debug, DeriveEntityModel, NoRelations, Sharded)]
    #[sea_orm(table_name = "runner")]
    #[sharded(by = id)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub name: String,
        pub total_m: i64,
    }
}

mod run {
    use sea_orm::entity::prelude::*;
    use tripod::{NoRelations, Sharded, TimelineItem, id::Id};

    /// A run lives on its runner's shard and fans out to those who follow the runner.
    #[derive(Clone, Debug, DeriveEntityModel, NoRelations, Sharded, TimelineItem)]
    #[sea_orm(table_name = "run")]
    #[sharded(by = runner_id)]
    #[timeline(name = "feed", audience = crate::Follow)]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Id<Entity>,
        pub runner_id: Id<super::runner::Entity>,
        pub distance_m: i64,
        pub duration_s: i64,
        pub note: String,
        pub private: bool,
    }
}

/// The tables, written out: a migration must always do what it did when it was written.
const TABLES: Migration = || {
    let run = TableDef::sharded("run").id_of("runner_id").integer("distance_m").integer("duration_s");
    CreateTables::new("m20261122_000201_club")
        .create(TableDef::sharded("runner").text("name").integer("total_m"))
        .create(run.text("note").boolean("private").index("run_by_runner", &["runner_id", "id"]))
        .boxed()
};

/// A runner follows another.
#[derive(Edge)]
#[edge(name = "follow", from = runner::Entity, to = runner::Entity)]
pub struct Follow;

/// A runner cheers a run.
#[derive(Edge)]
#[edge(name = "cheer", from = runner::Entity, to = run::Entity)]
pub struct Cheer;

/// A run took its runner past a round number, and this follower was notified.
#[derive(Edge)]
#[edge(name = "milestone", from = run::Entity, to = runner::Entity)]
pub struct Milestone;

/// The one place that decides who sees a run.
fn may_see(viewer: Viewer, run: &run::Model) -> bool {
    !run.private || viewer.is(run.runner_id)
}
// ANCHOR_END: tables
// ANCHOR: join
#[derive(Deserialize, ToSchema)]
struct NewRunner {
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Joined {
    id: RunnerId,
    token: String,
}

/// Join the club.
#[utoipa::path(post, path = "/runners", security(()),
    responses((status = 201, description = "You have joined.", body = Joined), (status = 409, description = "The name is taken.")))]
async fn join(
    State(app): State<App>,
    Json(new): Json<NewRunner>,
) -> Result<NoStore<(StatusCode, Json<Joined>)>> {
    let name = line_field("name", &new.name.to_lowercase(), 1..=30)?;
    let joined = app.write(Shard::of_text(&name), |tx| async move {
        let runner = runner::ActiveModel { name: Set(name.clone()), total_m: Set(0), ..Default::default() };
        let id = tx.insert(runner).await?;
        tx.claim_name(&name, id).await?;
        Ok(Joined { id, token: tx.open_session(id, "club card").await? })
    });
    Ok(NoStore((StatusCode::CREATED, Json(joined.await?))))
}

/// Follow a runner.
#[utoipa::path(put, path = "/runners/{id}/follow", params(("id" = RunnerId, Path)),
    responses((status = 204, description = "You follow this runner.")))]
async fn follow(State(app): State<App>, me: SignedIn, Path(id): Path<RunnerId>) -> Result<StatusCode> {
    let them = app.cached().visible(id, me.viewer(), &Everybody).await?;
    app.connect::<Follow>(me.id(), them.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cheer a run.
#[utoipa::path(put, path = "/runs/{id}/cheer", params(("id" = RunId, Path)),
    responses((status = 204, description = "You cheer this run.")))]
async fn cheer(State(app): State<App>, me: SignedIn, Path(id): Path<RunId>) -> Result<StatusCode> {
    let run = app.cached().visible(id, me.viewer(), &may_see).await?;
    app.connect::<Cheer>(me.id(), run.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: join
// ANCHOR: log_run
#[derive(Deserialize, ToSchema)]
struct NewRun {
    distance_m: u32,
    duration_s: u32,
    note: Option<String>,
    private: Option<bool>,
}

/// Log a run.
#[utoipa::path(post, path = "/runs", params(IdempotencyKey), request_body = NewRun,
    responses((status = 201, description = "The run.", body = RunView)))]
async fn log_run(
    State(app): State<App>,
    me: SignedIn,
    Keyed(once, Json(new)): Keyed<Json<NewRun>>,
) -> Result<(StatusCode, Json<RunView>)> {
    let row = run::ActiveModel {
        runner_id: Set(me.id()),
        distance_m: Set(new.distance_m.into()),
        duration_s: Set(new.duration_s.into()),
        note: Set(text_field("note", new.note.as_deref().unwrap_or_default(), 0..=500)?),
        private: Set(new.private.unwrap_or_default()),
        ..Default::default()
    };
    let (me, viewer, distance_m): (RunnerId, _, i64) = (me.id(), me.viewer(), new.distance_m.into());
    let logged = once.write(me, move |tx| async move {
        let run = tx.insert(row).await?;
        let total_m = tx.update(me, |me| me.total_m += distance_m).await?.map_or(0, |me| me.total_m);
        const ROUND_M: i64 = 100_000; // A run that takes its runner past a multiple of it is a milestone.
        if total_m / ROUND_M > (total_m - distance_m) / ROUND_M {
            tx.enqueue(TellFollowers { run, followers: SourceWalk::new(me) }).await?;
        }
        Ok(run)
    });
    let read = app.primary();
    Ok((StatusCode::CREATED, Json(read.present(logged.await?, |runs| present(&read, viewer, runs)).await?)))
}
// ANCHOR_END: log_run
// ANCHOR: job
/// Notifies a runner's followers of a milestone. Making an edge twice makes one, so this may run twice.
#[derive(Serialize, Deserialize, Job)]
#[job(name = "tell_followers", retries = 8)]
struct TellFollowers {
    run: RunId,
    followers: SourceWalk<Follow>,
}

impl Run<App> for TellFollowers {
    async fn run(&mut self, app: &App, attempt: &JobRun) -> Result<(), BoxError> {
        while let Some(followers) = self.followers.next(&app.primary()).await? {
            for follower in followers {
                app.connect::<Milestone>(self.run, follower).await?;
            }
            attempt.checkpoint(self).await?;
        }
        Ok(())
    }
}
// ANCHOR_END: job
// ANCHOR: feed
#[derive(Serialize, ToSchema)]
struct RunView {
    id: RunId,
    runner_id: RunnerId,
    distance_m: i64,
    duration_s: i64,
    note: String,
    cheers: u64,
    /// Whether you were notified that this run was a milestone.
    milestone: bool,
}

async fn present(read: &Read, viewer: Viewer, runs: Runs) -> Result<Vec<Option<RunView>>> {
    let ids: Vec<RunId> = runs.iter().map(|run| run.peek().id).collect();
    let cheers = read.source_counts::<Cheer>(&ids).await?;
    let told = read.sources_among::<Milestone>(viewer.id(), &ids).await?;
    let view = |run: Unchecked<run::Model>| {
        let run = run.visible_to(viewer, &may_see)?;
        let (cheers, milestone) = (cheers.get(&run.id).copied().unwrap_or_default(), told.contains(&run.id));
        let run::Model { id, runner_id, distance_m, duration_s, note, .. } = (*run).clone();
        Some(RunView { id, runner_id, distance_m, duration_s, note, cheers, milestone })
    };
    Ok(runs.into_iter().map(view).collect())
}

/// The runs of those you follow, and your own, newest first.
#[utoipa::path(get, path = "/feed", params(PageQuery),
    responses((status = 200, description = "A page of runs.", body = Page<RunView>)))]
async fn feed(State(app): State<App>, me: SignedIn, page: PageQuery) -> Result<Json<Page<RunView>>> {
    let read = app.cached().available();
    let timeline = |part| read.timeline::<run::Entity>(me.id(), part);
    page.fill(timeline, |runs| present(&read, me.viewer(), runs)).await.map(Json)
}
fn app() -> AppBuilder {
    let api = OpenApiRouter::new().routes(routes!(join)).routes(routes!(follow)).routes(routes!(log_run));
    App::builder("running_club", env!("CARGO_PKG_VERSION"))
        .migrations(&[TABLES])
        .entity::<runner::Entity>()
        .entity::<run::Entity>()
        .edge::<Follow>()
        .edge::<Cheer>()
        .edge::<Milestone>()
        .job::<TellFollowers>()
        .routes(OpenApiRouter::new().nest("/api/v1", api.routes(routes!(cheer)).routes(routes!(feed))))
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    app().run().await
}
// ANCHOR_END: feed
