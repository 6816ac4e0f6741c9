//! Starting and stopping: opens every store, checks that nothing is missing, and serves until a signal
//! to stop.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::absent;
use super::agreement::Agreement;
use super::builder::{AppBuilder, CloseState};
use super::clock_check;
use super::connection_check;
use super::context::{App, Services};
use super::demo::SeededDemo;
use super::http;
use super::instance_lock::InstanceLock;
use super::open_files;
use super::schema_check::check_tables;
use crate::cache::Cache;
use crate::config::Config;
use crate::db::{Database, check_schema, migrate};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::id::Clock;
use crate::index::Indexes;
use crate::media::{Bounds, MediaStore, Processor, Uploads};
use crate::queue::{Queue, Worker};
use crate::redis::Redis;
use crate::shard::{Shards, assign_shards};
use crate::telemetry::{DroppedLines, Metrics, stdout};
use crate::timeline::Timelines;
use crate::web::server::{self, Limits};
use crate::web::{Passwords, RateLimits, Sessions, TrustedProxies};

/// An app with all its stores open.
pub(crate) struct Started<S> {
    pub(crate) app: App<S>,
    pub(crate) router: axum::Router,
    pub(crate) worker: Worker<App<S>>,
    name: &'static str,
    instance_lock: InstanceLock,
    agreement: Agreement,
    close: Option<CloseState<S>>,
}

/// Why a process opens the stores.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// To serve requests or work the queue. Without shared stores only one process may.
    Serve,
    /// To inspect the data, and change a row at most.
    Inspect,
}

/// Opens the stores. After this, everything that the app needs is known to be there.
pub(crate) async fn start<S: Send + Sync + 'static>(
    builder: AppBuilder<S>,
    config: Config,
    clock: Clock,
    access: Access,
) -> Result<Started<S>> {
    let instance_lock = match access {
        Access::Serve => InstanceLock::of_files(&config)?,
        Access::Inspect => InstanceLock::NotNeeded,
    };
    start_locked(builder, config, clock, access, instance_lock).await
}

/// Like [`start`], when the data directory is already locked if necessary.
pub(super) async fn start_locked<S: Send + Sync + 'static>(
    builder: AppBuilder<S>,
    config: Config,
    clock: Clock,
    access: Access,
    mut instance_lock: InstanceLock,
) -> Result<Started<S>> {
    let (services, mut agreement) = open(&builder, config, clock, access).await?;
    if access == Access::Serve {
        agreement.check(builder.name).await?;
        instance_lock = instance_lock.of_servers(&services.config, services.shards.databases()).await?;
    }
    let about = builder.about();
    let app = App::new(services.clone(), (builder.open)(services).await?);
    let worker = Worker::new(app.queue.clone(), builder.jobs, app.clone(), &app.config.queue);
    let AppBuilder { name, routes, uploads, pages, close, .. } = builder;
    let router = http::router(http::Parts { about, routes, uploads, pages }, app.clone())?;
    Ok(Started { app, router, worker, name, instance_lock, agreement, close })
}

/// Migrates all databases to this version's schema, and divides a new installation among them. With
/// `adopt`, makes the configured Redis and media store the installation's. Returns a line about each
/// thing done.
pub(crate) async fn migrate_all<S>(app: &AppBuilder<S>, config: &Config, adopt: bool) -> Result<Vec<String>> {
    let _lock = InstanceLock::of_files(config)?;
    let (mut databases, mut done) = (Vec::new(), Vec::new());
    for url in config.database_urls() {
        let database = Database::open_direct(&url, &config.database).await?;
        let applied = migrate(&database, &app.migrations).await?;
        let name = database.name();
        done.push(match applied.len() {
            0 => format!("{name}: nothing to migrate"),
            _ => format!("{name}: migrated: {}", applied.join(", ")),
        });
        databases.push(database);
    }
    assign_shards(&databases).await?;
    // Report errors in the list of databases now instead of at the next start.
    let clock = Clock::system();
    let cache = Cache::open(None, clock.clone(), &config.cache, &Metrics::default())?;
    Shards::open(databases.clone(), clock, cache).await?;
    if adopt {
        let (redis, media) = open_stores(config).await?;
        let changes = Agreement::new(&databases, redis.as_ref(), &media).adopt().await?;
        let nothing = || vec!["Redis and the media store are the installation's already".to_owned()];
        done.extend(if changes.is_empty() { nothing() } else { changes });
    }
    for database in databases {
        database.close().await?;
    }
    Ok(done)
}

/// Opens Redis, if there is one, and the media store.
async fn open_stores(config: &Config) -> Result<(Option<Redis>, MediaStore)> {
    let redis = if config.redis.is_empty() { None } else { Some(Redis::open(&config.redis).await?) };
    Ok((redis, MediaStore::open(&config.media_location()).await?))
}

/// Opens the services of an app. Before it writes to them, their agreement has to be checked.
pub(super) async fn open<S: Send + Sync + 'static>(
    app: &AppBuilder<S>,
    config: Config,
    clock: Clock,
    access: Access,
) -> Result<(Services, Agreement)> {
    // Before a database is created: the other settings are checked when they are read.
    if !config.redis.is_empty() {
        Redis::check_address(&config.redis)?;
    }
    let databases = absent::open(&config).await?;
    let answering: Vec<Database> =
        databases.iter().filter(|database| !database.is_absent()).cloned().collect();
    for database in &answering {
        // A file belongs to one process, which migrates it automatically. Migrating a server is the
        // operator's decision, as other processes may be using it.
        if database.is_embedded() && access == Access::Serve {
            migrate(database, &app.migrations).await?;
        }
        check_schema(database, &app.migrations, app.name).await?;
    }
    check_tables(&answering, &app.catalogue.tables).await?;
    if access == Access::Serve {
        connection_check::check(&answering, &config.database).await?;
    }
    if access == Access::Serve && databases.iter().all(Database::is_embedded) {
        assign_shards(&databases).await?;
    }
    let config = Arc::new(config);
    let (redis, media) = open_stores(&config).await?;
    let agreement = Agreement::new(&databases, redis.as_ref(), &media);
    let metrics = Metrics::default();
    metrics.register(DroppedLines);
    let cache = Cache::open(redis.clone(), clock.clone(), &config.cache, &metrics)?;
    let shards = Shards::open(databases, clock, cache).await?;
    if access == Access::Serve {
        // A clock that is moved by hand is behind the rows on purpose, as when a demo begins in the past.
        let trusted = config.trust_clock || shards.clock().is_manual();
        clock_check::check(&shards, &app.catalogue.tables, trusted).await?;
        clock_check::watch(&shards);
        let checks = absent::Checks {
            app: app.name,
            migrations: app.migrations.clone(),
            tables: app.catalogue.tables.clone(),
            config: config.clone(),
        };
        checks.admit_later(&shards);
    }
    app.catalogue.cached.iter().for_each(|(_, cache_rows)| cache_rows(&shards));
    let queue = Queue::new(shards.clone(), &app.jobs, &config.queue);
    match queue.check_registered().await {
        // They may belong to another version of the app that runs in another process.
        Err(error) if config.is_shared() => tracing::warn!("{error}"),
        checked => checked?,
    }
    let graph = Graph::new(shards.clone(), queue.clone(), &app.catalogue.edges);
    app.catalogue.register_owned(&graph);
    let timelines = Timelines::open(
        &app.catalogue.timelines,
        shards.clone(),
        graph.clone(),
        redis.clone(),
        config.timeline.clone(),
    )
    .await?;
    let indexes = Indexes::new(shards.clone(), &app.catalogue.indexes);
    let abandoned_after = Duration::from_secs(config.uploads.abandoned_seconds.into());
    let sessions = Sessions::new(shards.clone(), app.sessions_per_account);
    let limits = RateLimits::new(config.limits, redis.clone()).with_request_limits(app.request_limits);
    let services = Services {
        uploads: Uploads::new(shards.clone(), queue.clone(), abandoned_after),
        media,
        pictures: Processor::new(Bounds::default()).with_widths(&app.rendition_widths),
        passwords: Passwords::new(shards.clone(), sessions.clone(), limits.clone())?,
        sessions,
        limits,
        config,
        shards,
        queue,
        graph,
        indexes,
        timelines,
        redis,
        metrics,
        shutdown: CancellationToken::new(),
    };
    Ok((services, agreement))
}

/// Serves, and works the queue if asked to, until Ctrl-C or SIGTERM, then finishes open requests and
/// jobs. A service that was just seeded is announced when the seeding's jobs are done.
pub(super) async fn serve<S: Send + Sync + 'static>(
    started: Started<S>,
    work: bool,
    seeded: Option<SeededDemo>,
) -> Result<()> {
    let Started { app, router, worker, name, instance_lock, agreement, close } = started;
    let config = &app.config;
    open_files::raise(config);
    let listener = bind(config).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal("the listener has no address").because(error))?;
    let stop = app.shutdown.clone();
    stop_on_signal(stop.clone())?;
    let watching = tokio::spawn(watch(instance_lock, agreement, stop.clone()));
    let working = match work {
        true => tokio::spawn(worker.run(stop.clone())),
        false => tokio::spawn(async {}),
    };
    if let Some(seeded) = &seeded {
        tokio::select! {
            finished = seeded.finish(&app.queue) => finished?,
            // Stopped meanwhile: the marker stays, and the next start reports partial data.
            () = stop.cancelled() => return Ok(()),
        }
    }
    announce(name, address, &app, seeded.as_ref());
    let (limits, proxies) = (Limits::of(config), TrustedProxies::of(config));
    server::serve(listener, router, limits, proxies, stop.cancelled()).await?;
    stop.cancel();
    finish(&app, working, watching, close).await
}

/// Works the queue until Ctrl-C or SIGTERM.
pub(super) async fn work<S: Send + Sync + 'static>(started: Started<S>) -> Result<()> {
    let Started { app, worker, name, instance_lock, agreement, close, .. } = started;
    let stop = app.shutdown.clone();
    stop_on_signal(stop.clone())?;
    let watching = tokio::spawn(watch(instance_lock, agreement, stop.clone()));
    let working = tokio::spawn(worker.run(stop.clone()));
    stdout().send(format!("{name} works the queue\n").as_bytes());
    stop.cancelled().await;
    finish(&app, working, watching, close).await
}

/// Stops this process when it may no longer run beside others.
async fn watch(instance_lock: InstanceLock, agreement: Agreement, stop: CancellationToken) {
    tokio::join!(instance_lock.watch(stop.clone()), agreement.watch(stop));
}

/// Waits for open work for up to the drain time, and closes the databases.
async fn finish<S>(
    app: &App<S>,
    working: JoinHandle<()>,
    watching: JoinHandle<()>,
    close_state: Option<CloseState<S>>,
) -> Result<()> {
    let drain = Duration::from_secs(app.config.http.drain_seconds.into());
    if tokio::time::timeout(drain, working).await.is_err() {
        tracing::warn!("jobs that were still running will be taken over by another process");
    }
    if let Err(error) = watching.await {
        tracing::warn!(%error, "the lock of this process was not watched to the end");
    }
    close(app, close_state.as_ref()).await
}

/// Closes the app's state, then the databases.
pub(super) async fn close<S>(app: &App<S>, state: Option<&CloseState<S>>) -> Result<()> {
    if let Some(close) = state {
        close(app.clone()).await?;
    }
    for database in app.shards.databases() {
        database.close().await?;
    }
    Ok(())
}

/// Binds the address to serve at.
pub(super) async fn bind(config: &Config) -> Result<TcpListener> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        Error::configuration(format!(
            "cannot listen on {}: free it, or set listen (TRIPOD_LISTEN) to another address",
            config.listen
        ))
        .because(error)
    })
}

fn announce(name: &str, address: std::net::SocketAddr, services: &Services, seeded: Option<&SeededDemo>) {
    let mut text = format!("{name} is ready\n  http  http://{address}/\n  docs  http://{address}/docs\n");
    let databases = services.shards.databases().iter().map(|database| ("data", database.name().to_owned()));
    let redis = services.redis.iter().map(|redis| ("redis", redis.address().to_owned()));
    let stores = databases.chain(redis).chain([("media", services.media.address())]);
    text.extend(stores.map(|(what, place)| format!("  {what:5} {place}\n")));
    let more = seeded.iter().flat_map(|seeded| &seeded.lines);
    text.extend(more.map(|(what, value)| format!("  {what}  {value}\n")));
    stdout().send(text.as_bytes());
}

/// Cancels `stop` at the first Ctrl-C or SIGTERM; at the second the process ends at once.
fn stop_on_signal(stop: CancellationToken) -> Result<()> {
    let listen =
        |kind| signal(kind).map_err(|error| Error::internal("cannot listen for signals").because(error));
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    tokio::spawn(async move {
        for exit in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if exit {
                std::process::exit(130);
            }
            tracing::info!("finishing open requests; once more to stop at once");
            stop.cancel();
        }
    });
    Ok(())
}
