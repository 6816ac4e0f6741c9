//! The builder of an app: collects what it consists of.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use utoipa_axum::router::OpenApiRouter;

use super::agreement;
use super::catalogue::{Catalogue, Registered};
use super::context::{App, Services};
use super::demo::{Demo, DemoSeeder};
use super::openapi;
use super::pages::WebPages;
use crate::db::Migration;
use crate::error::{BoxError, Error, Result};
use crate::graph::{self, DeleteOwned, Edge, Graph, RemoveEdges, WriteInverse};
use crate::index::{self, Index, Indexes, UpdateIndex};
use crate::media::{DEFAULT_WIDTHS, DeleteUpload, MediaStore};
use crate::queue::{self, Lane, Registry, Run};
use crate::timeline::{self, FanOut, Timelines};
use crate::web::{ExpireKeys, ForgetKeys, RequestLimits};
use crate::{shard, web};

/// An app on Tripod, before it runs. `S` is its own state, which handlers and jobs find at
/// [`App::state`].
///
/// ```no_run
/// use axum::routing::get;
/// use tripod::App;
/// use utoipa_axum::router::OpenApiRouter;
///
/// #[tokio::main]
/// async fn main() -> std::process::ExitCode {
///     App::builder("hello", "1.0.0")
///         .routes(OpenApiRouter::new().route("/", get(|| async { "hello" })))
///         .run()
///         .await
/// }
/// ```
pub struct AppBuilder<S = ()> {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
    pub(super) license: Option<(&'static str, &'static str)>,
    pub(super) migrations: Vec<Migration>,
    pub(super) catalogue: Catalogue,
    pub(super) jobs: Registry<App<S>>,
    pub(super) routes: OpenApiRouter<App<S>>,
    pub(super) uploads: OpenApiRouter<App<S>>,
    pub(super) pages: Option<WebPages<S>>,
    pub(super) rendition_widths: Vec<u32>,
    pub(super) sessions_per_account: u32,
    pub(super) request_limits: RequestLimits,
    pub(super) demo: Option<DemoSeeder<S>>,
    pub(super) open: OpenState<S>,
    pub(super) close: Option<CloseState<S>>,
}

pub(super) type OpenState<S> = Box<dyn Fn(Services) -> BoxFuture<'static, Result<S>> + Send + Sync>;
pub(super) type CloseState<S> = Box<dyn Fn(App<S>) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// The framework's own migrations, oldest first.
pub(crate) fn migrations() -> Vec<Migration> {
    let mut migrations = vec![shard::MIGRATION, queue::MIGRATION, graph::MIGRATION, timeline::MIGRATION];
    migrations.extend(web::MIGRATIONS);
    migrations.extend([shard::NAME_MIGRATION, queue::SCHEDULE_MIGRATION, web::PASSWORD_MIGRATION]);
    migrations.push(queue::WAITS_MIGRATION);
    migrations.extend([shard::RETIRED_MIGRATION, web::KNOWN_DEVICE_MIGRATION]);
    migrations.push(agreement::MIGRATION);
    migrations.push(index::MIGRATION);
    migrations
}

/// Registers the framework's own jobs.
pub(crate) fn register_jobs<C>(jobs: &mut Registry<C>)
where
    C: AsRef<Graph> + AsRef<Indexes> + AsRef<Timelines> + AsRef<MediaStore> + Send + Sync + 'static,
{
    jobs.register::<WriteInverse>();
    jobs.register::<RemoveEdges>();
    jobs.register::<DeleteOwned>();
    jobs.register::<UpdateIndex>();
    jobs.register::<FanOut>();
    jobs.register::<DeleteUpload>();
    jobs.register::<ForgetKeys>();
}

impl App {
    /// Begins an app with this name and version, without state of its own.
    pub fn builder(name: &'static str, version: &'static str) -> AppBuilder {
        AppBuilder::opening(name, version, Box::new(|_| Box::pin(async { Ok(()) })))
    }
}

impl<S: Send + Sync + 'static> AppBuilder<S> {
    /// Begins an app with state of its own. `open` makes the state when the framework's parts are open.
    /// It receives the section `[app]` of the settings file, overridden by the variables
    /// `TRIPOD_APP__...`. Keys missing there get the defaults of the settings' type.
    ///
    /// ```no_run
    /// use serde::Deserialize;
    /// use tripod::app::{AppBuilder, Services};
    ///
    /// #[derive(Deserialize)]
    /// #[serde(default, deny_unknown_fields)]
    /// struct Settings { greeting: String }
    /// impl Default for Settings {
    ///     fn default() -> Self { Self { greeting: "hello".into() } }
    /// }
    /// struct Greeter { greeting: String }
    ///
    /// async fn open(_: Services, settings: Settings) -> tripod::Result<Greeter> {
    ///     Ok(Greeter { greeting: settings.greeting })
    /// }
    /// # async fn f() {
    /// AppBuilder::with_state("greeter", "1.0.0", open).run().await;
    /// # }
    /// ```
    pub fn with_state<T, Opened>(
        name: &'static str,
        version: &'static str,
        open: impl Fn(Services, T) -> Opened + Send + Sync + 'static,
    ) -> Self
    where
        T: DeserializeOwned + Send,
        Opened: Future<Output = Result<S>> + Send + 'static,
    {
        let open = move |services: Services| match services.config.app_section::<T>() {
            Ok(section) => Box::pin(open(services, section)) as BoxFuture<'static, Result<S>>,
            Err(error) => Box::pin(async { Err(error) }),
        };
        Self::opening(name, version, Box::new(open))
    }

    /// An app with only the framework's own migrations and jobs.
    fn opening(name: &'static str, version: &'static str, open: OpenState<S>) -> Self {
        let mut jobs = Registry::new();
        register_jobs(&mut jobs);
        jobs.register::<ExpireKeys>();
        jobs.schedule("17 * * * *", || ExpireKeys {});
        let migrations = migrations();
        Self {
            name,
            version,
            license: None,
            migrations,
            catalogue: Catalogue::default(),
            jobs,
            routes: OpenApiRouter::new(),
            uploads: OpenApiRouter::new(),
            pages: None,
            rendition_widths: DEFAULT_WIDTHS.into(),
            sessions_per_account: web::DEFAULT_PER_ACCOUNT,
            request_limits: RequestLimits::default(),
            demo: None,
            open,
            close: None,
        }
    }

    /// Sets what to do with the state at shutdown, after the last request and job.
    #[must_use]
    pub fn on_shutdown<F, Done>(mut self, close: F) -> Self
    where
        F: Fn(App<S>) -> Done + Send + Sync + 'static,
        Done: Future<Output = Result<()>> + Send + 'static,
    {
        self.close = Some(Box::new(move |app| Box::pin(close(app))));
        self
    }

    /// Sets the licence in the OpenAPI document: its name, and its SPDX identifier.
    #[must_use]
    pub fn license(mut self, name: &'static str, identifier: &'static str) -> Self {
        self.license = Some((name, identifier));
        self
    }

    /// Adds migrations, after those already added.
    #[must_use]
    pub fn migrations(mut self, migrations: &[Migration]) -> Self {
        self.migrations.extend(migrations);
        self
    }

    /// Adds an entity, with everything that is derived for it: caching, and its timeline.
    #[must_use]
    pub fn entity<E: Registered>(mut self) -> Self {
        E::register(&mut self.catalogue);
        self
    }

    /// Adds a kind of edge.
    #[must_use]
    pub fn edge<E: Edge>(mut self) -> Self {
        self.catalogue.add_edge::<E>();
        self
    }

    /// Adds an index of an entity's rows.
    #[must_use]
    pub fn index<I: Index>(mut self) -> Self {
        self.catalogue.add_index::<I>();
        self
    }

    /// Adds a kind of job.
    #[must_use]
    pub fn job<J: Run<App<S>>>(mut self) -> Self {
        self.jobs.register::<J>();
        self
    }

    /// Adds a lane to the queue, for jobs that must not hold up others or must not run too often.
    #[must_use]
    pub fn lane(mut self, lane: Lane) -> Self {
        self.jobs.add_lane(lane);
        self
    }

    /// Enqueues a job at the times of a cron pattern in UTC, such as `"0 3 * * *"` for three o'clock
    /// each night. The job runs once per time, however many processes there are. It also has to be
    /// registered with [`Self::job`].
    #[must_use]
    pub fn schedule<J: Run<App<S>>>(
        mut self,
        pattern: &str,
        job: impl Fn() -> J + Send + Sync + 'static,
    ) -> Self {
        self.jobs.schedule(pattern, job);
        self
    }

    /// Adds routes with small bodies, and their part of the OpenAPI document. A body may have up to
    /// [`DEFAULT_LIMIT_BYTES`](crate::web::body::DEFAULT_LIMIT_BYTES); a
    /// [`limit`](crate::web::body::limit) layer on a route changes that.
    #[must_use]
    pub fn routes(mut self, routes: OpenApiRouter<App<S>>) -> Self {
        self.routes = self.routes.merge(routes);
        self
    }

    /// Adds routes that take files. A body may have up to
    /// [`UPLOAD_LIMIT_BYTES`](crate::web::body::UPLOAD_LIMIT_BYTES), and all uploads of the process
    /// share a memory budget.
    #[must_use]
    pub fn uploads(mut self, routes: OpenApiRouter<App<S>>) -> Self {
        self.uploads = self.uploads.merge(routes);
        self
    }

    /// Adds web pages for browsers. They share the API's sessions, by cookie, and its limits. They are
    /// not in the OpenAPI document, and forms sent from other sites are refused.
    #[must_use]
    pub fn pages(mut self, pages: WebPages<S>) -> Self {
        self.pages = Some(pages);
        self
    }

    /// Sets the widths of a picture's renditions in pixels, from the largest to the smallest, in place
    /// of [`DEFAULT_WIDTHS`]. Pictures that are already stored keep theirs.
    #[must_use]
    pub fn rendition_widths(mut self, widths: &[u32]) -> Self {
        self.rendition_widths = widths.into();
        self
    }

    /// Sets the maximum number of sessions per account, in place of 100. One more session closes the
    /// oldest.
    #[must_use]
    pub fn sessions_per_account(mut self, sessions: u32) -> Self {
        self.sessions_per_account = sessions;
        self
    }

    /// Sets the limits that the framework itself checks, in place of the defaults of [`RequestLimits`].
    #[must_use]
    pub fn request_limits(mut self, limits: RequestLimits) -> Self {
        self.request_limits = limits;
        self
    }

    /// Sets the function that fills an empty service with data for `serve --demo`. It runs once, on a
    /// clock that starts `span` before the present and that it moves forward itself ([`Demo::move_to`]),
    /// so that the data has a history. It returns labels and values, such as a name to log in with, to
    /// print beside the addresses.
    #[must_use]
    pub fn demo<F, Done>(mut self, span: Duration, seed: F) -> Self
    where
        F: FnOnce(Demo<S>) -> Done + Send + 'static,
        Done: Future<Output = Result<Vec<(&'static str, String)>, BoxError>> + Send + 'static,
    {
        self.demo = Some(DemoSeeder { span, run: Box::new(move |demo| Box::pin(seed(demo))) });
        self
    }

    /// Refuses an app whose parts contradict each other, with an error that names every contradiction.
    pub(crate) fn check(&self) -> Result<()> {
        let mut mistakes = self.catalogue.mistakes();
        mistakes.extend(self.jobs.mistakes());
        let widths = &self.rendition_widths;
        if widths.is_empty() || widths.contains(&0) || !widths.is_sorted_by(|wide, narrow| wide > narrow) {
            mistakes.push(format!(
                "its rendition widths are {widths:?}: list them from the largest to the smallest"
            ));
        }
        if self.sessions_per_account == 0 {
            mistakes.push("an account may have no session: allow it at least one".to_owned());
        }
        mistakes.extend(openapi::paths_with_files(self.routes.get_openapi()).into_iter().map(|path| {
            format!(
                "{path} takes files, and bodies are small there: add it with .uploads(), not with .routes()"
            )
        }));
        if mistakes.is_empty() {
            return Ok(());
        }
        Err(Error::configuration(format!(
            "{} is put together wrongly:\n- {}",
            self.name,
            mistakes.join("\n- ")
        )))
    }
}

#[cfg(test)]
mod tests {
    use utoipa_axum::routes;

    use super::*;
    use crate::graph::EdgeKind;
    use crate::shard::RowTable;

    #[test]
    fn an_app_that_contradicts_itself_is_told_all_of_it_at_once() {
        let app = || App::builder("test", "1.0.0");
        app().rendition_widths(&[640, 320]).sessions_per_account(1).check().unwrap();
        let mistaken = [&[][..], &[320, 640], &[640, 640], &[640, 0]];
        for widths in mistaken {
            let error = app().rendition_widths(widths).sessions_per_account(0).check().unwrap_err();
            assert!(error.is_configuration());
            for says in ["rendition widths", "no session"] {
                assert!(error.to_string().contains(says), "{widths:?}: {error}");
            }
        }
    }

    #[test]
    fn names_that_become_parts_of_keys_are_single_words() {
        const ROWS: RowTable = RowTable { name: "a", id: "id" };
        let mut app = App::<()>::builder("test", "1.0.0");
        app.catalogue.edges.push(EdgeKind {
            name: "two words",
            from: ROWS,
            to: ROWS,
            ends: &["one"],
            caches_sources: false,
        });
        let error = app.check().unwrap_err().to_string();
        assert!(error.contains("the name of the edge \"two words\" is not one word"), "{error}");
        assert!(error.contains("the edge \"two words\" ends edges named \"one\""), "{error}");

        let mut app = App::<()>::builder("test", "1.0.0");
        app.catalogue.cached.extend([("a:b", (|_| ()) as fn(&shard::Shards)); 2]);
        let error = app.check().unwrap_err().to_string();
        for says in ["the name of the cached entity \"a:b\"", "two cached entities are named \"a:b\""] {
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_form_with_files_has_to_be_an_upload() {
        #[utoipa::path(post, path = "/photos", responses((status = 204, description = "Stored.")),
            request_body(content = String, content_type = "multipart/form-data"))]
        async fn add_photo() {}

        let photos = || OpenApiRouter::new().nest("/api", OpenApiRouter::new().routes(routes!(add_photo)));
        let app = || App::<()>::builder("test", "1.0.0");
        app().uploads(photos()).check().unwrap();
        let error = app().routes(photos()).check().unwrap_err().to_string();
        assert!(error.contains("/api/photos takes files") && error.contains(".uploads()"), "{error}");
    }
}
