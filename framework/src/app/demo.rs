//! `serve --demo`: an empty service is seeded with data to look at, and then served.
//!
//! The product says what there is ([`AppBuilder::demo`]); this opens the stores on a clock that the
//! seeding moves through the past, so that ids carry the times which the data speaks of. What is
//! made goes the way of everything else, jobs included: they are worked before the service says
//! that it is ready. A service that has data is left as it is. A seeding that was cut short leaves
//! a marker, by which the next one says what to do instead of going on with half of it.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::ConnectionTrait;

use super::instance_lock::{InstanceLock, create_directory};
use super::start::{self, Access};
use super::{App, AppBuilder, Catalogue, Services};
use crate::config::Config;
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::Clock;
use crate::queue::Queue;
use crate::shard::Table;

/// Between two checks of whether the queue has run empty.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

type Lines = Vec<(&'static str, String)>;

/// How a product seeds itself with data.
pub(super) struct DemoSeeder<S> {
    pub(super) span: Duration,
    pub(super) run: Box<dyn FnOnce(Demo<S>) -> BoxFuture<'static, anyhow::Result<Lines>> + Send>,
}

/// What the seeding of a demo is given. Clones share everything.
pub struct Demo<S = ()> {
    /// The app, on the demo's clock.
    pub app: App<S>,
    /// When it ends: the present.
    end_ms: u64,
}

impl<S> Clone for Demo<S> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone(), end_ms: self.end_ms }
    }
}

impl<S> Demo<S> {
    /// Moves the clock on to so long before the present. It never goes back.
    pub fn move_to(&self, ago: Duration) {
        let clock = self.app.shards.clock();
        let to_ms = self.end_ms.saturating_sub(ago.as_millis() as u64);
        clock.advance(Duration::from_millis(to_ms.saturating_sub(clock.now_ms())));
    }
}

/// Seeds and serves.
pub(super) async fn serve<S: Send + Sync + 'static>(
    mut builder: AppBuilder<S>,
    config: Config,
) -> Result<()> {
    let seeder = builder.demo.take().ok_or_else(|| {
        Error::configuration(format!("{} has no demo: start it without --demo", builder.name))
    })?;
    let instance_lock = InstanceLock::of_files(&config)?;
    create_directory(&config.data_dir)?;
    let marker = UnfinishedMarker(config.data_dir.join("demo-unfinished"));
    let end_ms = Clock::system().now_ms();
    let clock = Clock::manual(end_ms.saturating_sub(seeder.span.as_millis() as u64));
    let services = start::open(&builder, config.clone(), clock, Access::Serve).await?;
    require_empty(&builder.catalogue, &services, &marker).await?;
    // An address that is taken is told before the work rather than after it.
    drop(start::bind(&config).await?);

    marker.create()?;
    let app = App::new(services.clone(), (builder.open)(services).await?);
    let demo = Demo { app: app.clone(), end_ms };
    let lines = (seeder.run)(demo)
        .await
        .map_err(|error| Error::internal("the demo cannot be made").because(format!("{error:#}")))?;
    start::close(&app, builder.close.as_ref()).await?;
    drop(app);

    let started = start::start_locked(builder, config, Clock::system(), Access::Serve, instance_lock).await?;
    start::serve(started, true, Some(SeededDemo { lines, marker })).await
}

/// Only an empty service is seeded: one without a row in any of the app's own tables.
async fn require_empty(catalogue: &Catalogue, services: &Services, marker: &UnfinishedMarker) -> Result<()> {
    let data = services.config.data_dir.display();
    let names: Vec<&str> = services.shards.databases().iter().map(|database| database.name()).collect();
    if marker.0.exists() {
        return Err(Error::configuration(format!(
            "an earlier --demo was cut short and has left half of its data: delete {} and {}, then start it again, \
             or set data_dir (TRIPOD_DATA_DIR) to a new directory",
            data,
            names.join(", ")
        )));
    }
    for database in services.shards.databases() {
        for Table { name: table, .. } in &catalogue.tables {
            let any = statement(database.reader(), &format!("SELECT 1 FROM \"{table}\" LIMIT 1"), []);
            if database.reader().query_one_raw(any).await?.is_some() {
                return Err(Error::configuration(format!(
                    "--demo fills an empty service only, and {} has data already (table {table:?}): start it without \
                     --demo, or set data_dir (TRIPOD_DATA_DIR) to a new directory",
                    database.name()
                )));
            }
        }
    }
    Ok(())
}

/// A service that was seeded just now and has not been announced yet.
pub(super) struct SeededDemo {
    pub(super) lines: Lines,
    marker: UnfinishedMarker,
}

impl SeededDemo {
    /// Waits until all jobs are done; only then is the seeding over.
    pub(super) async fn finish(&self, queue: &Queue) -> Result<()> {
        while !queue.waiting().await?.is_empty() {
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        if let Some(job) = queue.dead().await?.into_iter().next() {
            let why = job.last_error.unwrap_or_default();
            return Err(Error::internal(format!("the demo's job {} has failed: {why}", job.name)));
        }
        self.marker.remove()
    }
}

/// The file that stands in the data directory while the seeding is under way.
struct UnfinishedMarker(PathBuf);

impl UnfinishedMarker {
    fn create(&self) -> Result<()> {
        let write = || {
            let mut file = File::create(&self.0)?;
            file.write_all(b"serve --demo is filling this service, or was cut short\n")?;
            file.sync_all()?;
            self.0.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        };
        write().map_err(|error| self.cannot("write", error))
    }

    fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.cannot("remove", error)),
            _ => Ok(()),
        }
    }

    fn cannot(&self, what: &str, error: std::io::Error) -> Error {
        Error::unavailable(format!("cannot {what} {}", self.0.display())).because(error)
    }
}
