//! A running club on one page: runners follow each other, log runs and cheer them.
//!
//! `cargo run -p tripod-examples --bin running_club`, then open /docs at the address it prints.

mod tables;

use std::process::ExitCode;

use axum::extract::State;
use axum::http::StatusCode;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde::{Deserialize, Serialize};
use tripod::access::{Policy, Unchecked, Viewer, Visible, visible};
use tripod::graph::EdgePage;
use tripod::id::{Id, Shard};
use tripod::queue::{JobRun, Run};
use tripod::shard::{self, Claimed, Sharded};
use tripod::web::{Filling, Json, Page, PageQuery, Path, Problem, Query, Secret, SignedIn, Slot, after_id};
use tripod::{App, Edge, Error, Job, Tripod};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use tables::run::{self, RunId};
use tables::runner::{self, RunnerId};
use tables::{TABLES, name};

// ANCHOR: edges
/// A runner follows another.
#[derive(Edge)]
#[edge(name = "follow", from = runner::Entity, to = runner::Entity)]
pub struct Follow;

/// A runner cheers a run.
#[derive(Edge)]
#[edge(name = "cheer", from = runner::Entity, to = run::Entity)]
pub struct Cheer;

/// A run took its runner past a round number, and this follower has been told.
#[derive(Edge)]
#[edge(name = "milestone", from = run::Entity, to = runner::Entity)]
pub struct Milestone;
// ANCHOR_END: edges

// ANCHOR: access
/// The one place that decides who sees what.
struct Club;

impl Policy<runner::Model> for Club {
    fn allows(&self, _: Viewer, _: &runner::Model) -> bool {
        true
    }
}

impl Policy<run::Model> for Club {
    fn allows(&self, viewer: Viewer, run: &run::Model) -> bool {
        !run.private || viewer.is(run.runner_id)
    }
}

/// A row, if the viewer sees it; 404 otherwise.
async fn see<E: Sharded>(tripod: &Tripod, viewer: Viewer, id: Id<E>) -> Result<Visible<E::Model>, Problem>
where
    Club: Policy<E::Model>,
{
    let row = tripod.shards.find(id).await?;
    row.and_then(|row| row.visible_to(viewer, &Club))
        .ok_or_else(|| Problem::absent("There is none of this id."))
}
// ANCHOR_END: access

// ANCHOR: join
#[derive(Deserialize, ToSchema)]
struct NewRunner {
    name: String,
}

#[derive(Serialize, ToSchema)]
struct Joined {
    #[schema(value_type = runner::Model)]
    runner: Visible<runner::Model>,
    token: String,
}

/// Join the club.
#[utoipa::path(post, path = "/runners", operation_id = "join", request_body = NewRunner,
    responses((status = 201, description = "You are in.", body = Joined),
              (status = 409, description = "The name is taken.", body = Problem, content_type = "application/problem+json")))]
async fn join(
    State(tripod): State<Tripod>,
    Json(new): Json<NewRunner>,
) -> Result<Secret<(StatusCode, Json<Joined>)>, Problem> {
    let name = new.name.trim().to_lowercase();
    if !(1..=30).contains(&name.chars().count()) {
        return Err(Problem::invalid("name", "must have 1 to 30 characters"));
    }
    let sessions = tripod.sessions.clone();
    let (id, token) = tripod
        .shards
        .write(Shard::of_text(&name), move |tx| {
            Box::pin(async move {
                let row = |id| runner::ActiveModel { id: Set(id), name: Set(name.clone()), total_m: Set(0) };
                let id = tx.insert_new(row).await?;
                let whose = name::ActiveModel { runner_id: Set(id), ..Default::default() };
                if !tx.claim_text(&name, whose).await? {
                    return Err(Problem::conflict("The name is taken."));
                }
                Ok((id, sessions.open(tx, id, "club card").await?))
            })
        })
        .await?;
    let runner = see(&tripod, Viewer::Account(id.raw()), id).await?;
    Ok(Secret((StatusCode::CREATED, Json(Joined { runner, token }))))
}
// ANCHOR_END: join

// ANCHOR: follow
/// Follow a runner.
#[utoipa::path(put, path = "/runners/{id}/follow", operation_id = "follow", params(("id" = RunnerId, Path)),
    security(("bearer" = [])), responses((status = 204, description = "You follow them.")))]
async fn follow(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<RunnerId>,
) -> Result<StatusCode, Problem> {
    let them = see(&tripod, me.viewer(), id).await?;
    tripod.graph.connect::<Follow>(me.account(), them.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Cheer a run.
#[utoipa::path(put, path = "/runs/{id}/cheer", operation_id = "cheer", params(("id" = RunId, Path)),
    security(("bearer" = [])), responses((status = 204, description = "You cheer it.")))]
async fn cheer(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Path(id): Path<RunId>,
) -> Result<StatusCode, Problem> {
    let run = see(&tripod, me.viewer(), id).await?;
    tripod.graph.connect::<Cheer>(me.account(), run.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
// ANCHOR_END: follow

// ANCHOR: log_run
#[derive(Deserialize, ToSchema)]
struct NewRun {
    distance_m: u32,
    duration_s: u32,
    #[serde(default)]
    note: String,
    #[serde(default)]
    private: bool,
}

/// A run is a milestone when it takes its runner past a multiple of this.
const ROUND_M: i64 = 100_000;

/// Log a run.
#[utoipa::path(post, path = "/runs", operation_id = "logRun", request_body = NewRun, security(("bearer" = [])),
    responses((status = 201, description = "The run.", body = RunView)))]
async fn log_run(
    State(tripod): State<Tripod>,
    me: SignedIn,
    slot: Slot,
    Json(new): Json<NewRun>,
) -> Result<(StatusCode, Json<RunView>), Problem> {
    if new.note.chars().count() > 500 {
        return Err(Problem::invalid("note", "must have at most 500 characters"));
    }
    let (runner, distance_m): (RunnerId, i64) = (me.account(), new.distance_m.into());
    let row = move |id| run::ActiveModel {
        id: Set(id),
        runner_id: Set(runner),
        distance_m: Set(distance_m),
        duration_s: Set(new.duration_s.into()),
        note: Set(new.note.clone()),
        private: Set(new.private),
    };
    let reserved = slot.reserve::<run::Entity>(runner.shard()).await?;
    let (queue, timelines) = (tripod.queue.clone(), tripod.timelines.clone());
    let id = tripod
        .shards
        .write::<_, Error, _>(runner.shard(), move |tx| {
            Box::pin(async move {
                let run = match tx.claim(reserved, row).await? {
                    Claimed::New(run) => run,
                    // The same request again: its effect is there.
                    Claimed::Before(earlier) if earlier.runner_id == runner => return Ok(earlier.id),
                    Claimed::Before(_) => return Err(Error::unavailable("the reserved id was taken")),
                };
                let total = Expr::col(runner::Column::TotalM).add(distance_m);
                let counted = runner::Entity::update_many()
                    .filter(runner::Column::Id.eq(runner))
                    .col_expr(runner::Column::TotalM, total)
                    .exec_with_returning(tx.connection())
                    .await?;
                timelines.publish::<run::Entity>(tx, run, runner).await?;
                let is_round =
                    |me: &runner::Model| me.total_m / ROUND_M > (me.total_m - distance_m) / ROUND_M;
                if counted.first().is_some_and(is_round) {
                    queue.enqueue(tx, &TellFollowers { run, runner, reached: None }).await?;
                }
                Ok(run)
            })
        })
        .await?;
    let row = tripod.shards.find(id).await?;
    let view = present(&tripod, me.viewer(), row.into_iter().collect()).await?.pop();
    Ok((StatusCode::CREATED, Json(view.ok_or_else(|| Problem::absent("The run is gone."))?)))
}
// ANCHOR_END: log_run

// ANCHOR: job
/// Tells a runner's followers, on their own shards, of a milestone.
#[derive(Serialize, Deserialize, Job)]
#[job(name = "tell_followers", retries = 8)]
struct TellFollowers {
    run: RunId,
    runner: RunnerId,
    /// The last follower told: where the next attempt goes on.
    reached: Option<(i64, i64)>,
}

impl Run<Tripod> for TellFollowers {
    async fn run(&mut self, tripod: &Tripod, attempt: &JobRun) -> anyhow::Result<()> {
        loop {
            let page = EdgePage { after: self.reached, limit: 100 };
            let followers = tripod.graph.sources::<Follow>(self.runner, page).await?;
            for follower in &followers {
                // Making an edge twice is making it once, so the job may run twice.
                tripod.graph.connect::<Milestone>(self.run, follower.id).await?;
            }
            let Some(last) = followers.last() else { return Ok(()) };
            self.reached = Some((last.version, last.id.raw()));
            attempt.checkpoint(self).await?;
        }
    }
}
// ANCHOR_END: job

// ANCHOR: feed
#[derive(Serialize, ToSchema)]
struct RunView {
    #[serde(flatten)]
    #[schema(value_type = run::Model)]
    run: Visible<run::Model>,
    cheers: u64,
    /// Whether you were told that this run was a milestone.
    milestone: bool,
}

async fn present(
    tripod: &Tripod,
    viewer: Viewer,
    runs: Vec<Unchecked<run::Model>>,
) -> Result<Vec<RunView>, Error> {
    let runs = visible(runs, viewer, &Club);
    let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
    let cheers = tripod.graph.source_counts::<Cheer>(&ids).await?;
    let told = match viewer.id() {
        Some(me) => tripod.graph.sources_among::<Milestone>(me, &ids).await?,
        None => Default::default(),
    };
    Ok(runs
        .into_iter()
        .map(|run| RunView { cheers: cheers[&run.id], milestone: told.contains(&run.id), run })
        .collect())
}

/// The runs of those you follow, and your own, newest first.
#[utoipa::path(get, path = "/feed", operation_id = "getFeed", params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "A page of runs.", body = Page<RunView>)))]
async fn feed(
    State(tripod): State<Tripod>,
    me: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<RunView>>, Problem> {
    let page = query.by_id::<run::Entity>()?;
    let mut filling = Filling::new(page.limit, page.before);
    while let Some((before, limit)) = filling.wants() {
        let slice = tripod.timelines.slice(me.account(), shard::Page { before, limit }).await?;
        let rows = tripod.shards.reachable().find_many(&slice.ids).await?;
        let runs = present(&tripod, me.viewer(), rows).await?;
        filling.add(runs.into_iter().map(|run| (run.run.id, run)), slice.next);
    }
    Ok(Json(filling.into_page(after_id)))
}
// ANCHOR_END: feed

// ANCHOR: main
#[tokio::main]
async fn main() -> ExitCode {
    let api = OpenApiRouter::new()
        .routes(routes!(join))
        .routes(routes!(follow))
        .routes(routes!(log_run))
        .routes(routes!(cheer))
        .routes(routes!(feed));
    App::new("running_club", env!("CARGO_PKG_VERSION"))
        .migrations(&[TABLES])
        .entity::<runner::Entity>()
        .entity::<name::Entity>()
        .timeline::<run::Entity>()
        .edge::<Follow>()
        .edge::<Cheer>()
        .edge::<Milestone>()
        .job::<TellFollowers>()
        .routes(OpenApiRouter::new().nest("/api/v1", api))
        .run()
        .await
}
// ANCHOR_END: main
