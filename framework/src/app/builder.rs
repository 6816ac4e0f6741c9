//! Collects what a product is made of.

use std::time::Duration;

use sea_orm::EntityTrait;
use utoipa_axum::router::OpenApiRouter;

use super::demo::{Demo, Fill};
use super::{Pages, Tripod, role};
use crate::cache::Cached;
use crate::db::Migration;
use crate::error::Result;
use crate::graph::{self, Edge, WriteFarEnd};
use crate::media::DeleteUpload;
use crate::queue::{self, Registry, Run};
use crate::shard::{Sharded, Shards};
use crate::timeline::{self, FanOut, TimelineItem};
use crate::{shard, web};

/// A product on Tripod.
///
/// ```no_run
/// use axum::routing::get;
/// use tripod::App;
/// use utoipa_axum::router::OpenApiRouter;
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     App::new("hello", "1.0.0")
///         .routes(OpenApiRouter::new().route("/", get(|| async { "hello" })))
///         .run()
///         .await
/// }
/// ```
pub struct App {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) migrations: Vec<Migration>,
    pub(super) tables: Vec<String>,
    pub(super) cached: Vec<fn(&Shards)>,
    pub(super) edges: Vec<&'static str>,
    pub(super) timelines: Vec<timeline::Kind>,
    pub(super) jobs: Registry<Tripod>,
    pub(super) routes: OpenApiRouter<Tripod>,
    pub(super) uploads: OpenApiRouter<Tripod>,
    pub(super) pages: Option<Pages>,
    pub(super) demo: Option<Fill>,
}

impl App {
    /// An app of this name and version, with the framework's own tables and jobs.
    pub fn new(name: &'static str, version: &'static str) -> Self {
        let mut jobs = Registry::new();
        jobs.register::<WriteFarEnd>();
        jobs.register::<FanOut>();
        jobs.register::<DeleteUpload>();
        let mut migrations = vec![shard::MIGRATION, queue::MIGRATION, graph::MIGRATION, timeline::MIGRATION];
        migrations.extend(web::MIGRATIONS);
        Self {
            name,
            version,
            migrations,
            tables: Vec::new(),
            cached: Vec::new(),
            edges: Vec::new(),
            timelines: Vec::new(),
            jobs,
            routes: OpenApiRouter::new(),
            uploads: OpenApiRouter::new(),
            pages: None,
            demo: None,
        }
    }

    /// Migrations, after those given before.
    #[must_use]
    pub fn migrations(mut self, migrations: &[Migration]) -> Self {
        self.migrations.extend(migrations);
        self
    }

    /// An entity: its table must be there when the app starts.
    #[must_use]
    pub fn entity<E: EntityTrait>(mut self) -> Self {
        self.tables.push(E::default().table_name().to_owned());
        self
    }

    /// An entity whose rows are read through the cache, with [`Shards::get`]. It is also one of the
    /// app's entities.
    #[must_use]
    pub fn cached<E>(mut self) -> Self
    where
        E: Sharded,
        E::Model: Cached,
    {
        self.cached.push(Shards::cache_rows::<E>);
        self.entity::<E>()
    }

    /// A kind of edge.
    #[must_use]
    pub fn edge<E: Edge>(mut self) -> Self {
        self.edges.push(E::NAME);
        self
    }

    /// An entity whose rows appear in timelines.
    #[must_use]
    pub fn timeline<E: TimelineItem>(mut self) -> Self {
        self.timelines.push(timeline::Kind::of::<E>());
        self.entity::<E>()
    }

    /// A kind of job.
    ///
    /// # Panics
    /// When another one has the same name.
    #[must_use]
    pub fn job<J: Run<Tripod>>(mut self) -> Self {
        self.jobs.register::<J>();
        self
    }

    /// Routes with small bodies, with their part of the OpenAPI document. Requests that carry an
    /// `Idempotency-Key` run once.
    #[must_use]
    pub fn routes(mut self, routes: OpenApiRouter<Tripod>) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Routes that take files. Their bodies are too large to be held for telling repeats, so they
    /// call [`crate::web::Idempotency::once`] with what they made of the body.
    #[must_use]
    pub fn uploads(mut self, routes: OpenApiRouter<Tripod>) -> Self {
        self.uploads = self.uploads.merge(routes);
        self
    }

    /// Web pages, for browsers. They share the API's sessions (by cookie) and its limits, are no
    /// part of the OpenAPI document, and a form that another site sends is refused.
    #[must_use]
    pub fn pages(mut self, pages: Pages) -> Self {
        self.pages = Some(pages);
        self
    }

    /// What fills an empty service for `serve --demo`, so that there is something to look at. It is
    /// run once, on a clock that begins `span` before the present and that it moves on itself
    /// ([`Demo::move_to`]), so that what it makes looks lived in; and gives names and values, such
    /// as a name to log in with, to announce beside the addresses.
    #[must_use]
    pub fn demo<F, Done>(mut self, span: Duration, fill: F) -> Self
    where
        F: FnOnce(Demo) -> Done + Send + 'static,
        Done: Future<Output = anyhow::Result<Vec<(&'static str, String)>>> + Send + 'static,
    {
        self.demo = Some(Fill { span, run: Box::new(move |demo| Box::pin(fill(demo))) });
        self
    }

    /// Plays the role that the command line asks for, `serve` by default. Failures are printed,
    /// as sentences.
    pub async fn run(self) -> std::process::ExitCode {
        match self.play().await {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {}", error.chain());
                std::process::ExitCode::FAILURE
            }
        }
    }

    async fn play(self) -> Result<()> {
        role::play(self).await
    }
}
