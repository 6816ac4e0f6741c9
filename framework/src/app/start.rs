//! Starting and stopping: opens every store, checks that nothing is missing, serves until told
//! to stop.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::demo::Filled;
use super::{App, Tripod, http};
use crate::config::Config;
use crate::db::{Database, migrate};
use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::id::Clock;
use crate::media::{Bounds, MediaStore, Processor};
use crate::queue::{Queue, Worker};
use crate::redis::Redis;
use crate::shard::Shards;
use crate::timeline::Timelines;
use crate::web::{Idempotency, Passwords, RateLimits, Sessions, server};

/// An app with all its stores open.
pub(crate) struct Started {
    pub(crate) tripod: Tripod,
    pub(crate) router: axum::Router,
    pub(crate) worker: Worker<Tripod>,
    name: &'static str,
    /// Held for as long as the process uses the data directory.
    _lock: Option<File>,
}

/// Whether a process is the one that uses the data directory, or looks in beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Serves or migrates: there is one such process.
    Sole,
    /// Looks at what is there, and changes a row at most.
    Beside,
}

/// Opens the stores. After this nothing that the app needs can turn out to be missing.
pub(crate) async fn start(app: App, config: Config, clock: Clock, access: Access) -> Result<Started> {
    let lock = (access == Access::Sole).then(|| lock(&config.data_dir)).transpose()?;
    start_locked(app, config, clock, access, lock).await
}

/// As [`start`], of a data directory that is locked already where it must be.
pub(super) async fn start_locked(
    app: App,
    config: Config,
    clock: Clock,
    access: Access,
    lock: Option<File>,
) -> Result<Started> {
    let tripod = open(&app, config, clock, access).await?;
    let worker = Worker::new(tripod.queue.clone(), app.jobs, tripod.clone(), &tripod.config.queue);
    let router = http::router(app.name, app.version, (app.routes, app.uploads), app.pages, tripod.clone())?;
    Ok(Started { tripod, router, worker, name: app.name, _lock: lock })
}

/// Opens what an app stands on.
pub(super) async fn open(app: &App, config: Config, clock: Clock, access: Access) -> Result<Tripod> {
    let mut databases = Vec::new();
    for url in config.database_urls() {
        let database = Database::open(&url, &config.database).await?;
        if access == Access::Sole {
            migrate(&database, &app.migrations).await?;
        }
        check_tables(&database, &app.tables).await?;
        databases.push(database);
    }
    let shards = Shards::open(databases, clock).await?;
    let queue = Queue::new(shards.clone(), &app.jobs, &config.queue);
    queue.check_registered().await?;
    let graph = Graph::new(shards.clone(), queue.clone(), &app.edges);
    let redis = if config.redis.is_empty() { None } else { Some(Redis::open(&config.redis).await?) };
    let timelines = Timelines::open(
        &app.timelines,
        shards.clone(),
        graph.clone(),
        queue.clone(),
        redis.clone(),
        config.timeline.clone(),
    )
    .await?;
    Ok(Tripod {
        media: MediaStore::open_directory(config.media_dir()).await?,
        pictures: Processor::new(Bounds::default()),
        sessions: Sessions::new(shards.clone(), redis.clone()),
        idempotency: Idempotency::new(shards.clone()),
        limits: RateLimits::new(config.limits, redis.clone()),
        passwords: Passwords::new()?,
        config: Arc::new(config),
        shards,
        queue,
        graph,
        timelines,
        redis,
    })
}

/// Serves and works the queue until Ctrl-C or SIGTERM, then finishes what is open. A service that
/// was filled just now is announced when the jobs of that are done.
pub(super) async fn serve(started: Started, filled: Option<Filled>) -> Result<()> {
    let Started { tripod, router, worker, name, _lock } = started;
    let config = &tripod.config;
    let listener = bind(config).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::internal("the listener has no address").because(error))?;
    let stop = CancellationToken::new();
    stop_on_signal(stop.clone())?;
    let working = tokio::spawn(worker.run(stop.clone()));
    if let Some(filled) = &filled {
        tokio::select! {
            finished = filled.finish(&tripod.queue) => finished?,
            // Told to stop meanwhile: the mark stays, and the next start says that half is there.
            () = stop.cancelled() => return Ok(()),
        }
    }
    announce(name, address, config, filled.as_ref())?;
    server::serve(listener, router, limits(config), stop.cancelled()).await?;
    let drain = Duration::from_secs(config.http.drain_seconds.into());
    if tokio::time::timeout(drain, working).await.is_err() {
        tracing::warn!("jobs that were still running will be taken over by the next process");
    }
    for database in tripod.shards.databases() {
        database.close().await?;
    }
    Ok(())
}

/// Takes the address that is served at.
pub(super) async fn bind(config: &Config) -> Result<TcpListener> {
    TcpListener::bind(config.listen).await.map_err(|error| {
        Error::configuration(format!(
            "cannot listen on {}: free it, or set listen (TRIPOD_LISTEN) to another address",
            config.listen
        ))
        .because(error)
    })
}

fn announce(
    name: &str,
    address: std::net::SocketAddr,
    config: &Config,
    filled: Option<&Filled>,
) -> Result<()> {
    let mut text = format!(
        "{name} is ready\n  http  http://{address}/\n  docs  http://{address}/docs\n  data  {}\n",
        config.data_dir.display()
    );
    let more = filled.iter().flat_map(|filled| &filled.lines);
    text.extend(more.map(|(what, value)| format!("  {what}  {value}\n")));
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Error::unavailable("cannot write to standard output").because(error))
}

fn limits(config: &Config) -> server::Limits {
    let http = &config.http;
    server::Limits {
        connections: http.connections as usize,
        header_seconds: http.header_seconds.into(),
        body_grace_seconds: http.body_grace_seconds.into(),
        body_min_bytes_per_second: http.body_min_bytes_per_second.into(),
        response_seconds: http.response_seconds.into(),
        write_seconds: http.write_seconds.into(),
        drain_seconds: http.drain_seconds.into(),
        ..server::Limits::default()
    }
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

/// Without a shared store there is one process: the second one is refused.
pub(super) fn lock(directory: &Path) -> Result<File> {
    let cannot = |what: &str, error: std::io::Error| {
        let mend = "give this user the right to, or set data_dir (TRIPOD_DATA_DIR) to another directory";
        Error::configuration(format!("cannot {what} the data directory {}: {mend}", directory.display()))
            .because(error)
    };
    std::fs::create_dir_all(directory).map_err(|error| cannot("create", error))?;
    let path = directory.join("lock");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| cannot("write to", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).map_err(|error| cannot("read", error))?;
            return Err(Error::configuration(format!(
                "the data directory {} is in use by process {}: stop it, or set data_dir (TRIPOD_DATA_DIR) to another directory",
                directory.display(),
                holder.trim()
            )));
        }
        Err(std::fs::TryLockError::Error(error)) => return Err(cannot("lock", error)),
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    note(&mut file).map_err(|error| cannot("write to", error))?;
    Ok(file)
}

/// A table that nobody migrated is an error at start, not at the first request.
async fn check_tables(database: &Database, tables: &[String]) -> Result<()> {
    for table in tables {
        let probe = format!("SELECT 1 FROM \"{table}\" LIMIT 1");
        database.reader().execute_unprepared(&probe).await.map_err(|error| {
            Error::configuration(format!(
                "the database {} has no table {table:?}: add a migration that creates it to the app",
                database.name()
            ))
            .because(error)
        })?;
    }
    Ok(())
}
