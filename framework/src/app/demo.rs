//! `serve --demo`: an empty service is filled with data to look at, and then served.
//!
//! The product says what there is ([`AppBuilder::demo`]); this opens the stores on a clock that the
//! filling moves through the past, so that ids carry the times which the data speaks of. What is
//! made goes the way of everything else, jobs included: they are worked before the service says
//! that it is ready. A service that has data is left as it is. A filling that was cut short leaves
//! a mark, by which the next one says what to do instead of going on with half of it.

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

/// Between two looks at whether the queue has run empty.
const LOOK: Duration = Duration::from_millis(20);

type Lines = Vec<(&'static str, String)>;

/// How a product fills itself.
pub(super) struct Fill<S> {
    pub(super) span: Duration,
    pub(super) run: Box<dyn FnOnce(Demo<S>) -> BoxFuture<'static, anyhow::Result<Lines>> + Send>,
}

/// What the filling of a demo is given. Clones share everything.
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

/// Fills and serves.
pub(super) async fn serve<S: Send + Sync + 'static>(
    mut builder: AppBuilder<S>,
    config: Config,
) -> Result<()> {
    let fill = builder.demo.take().ok_or_else(|| {
        Error::configuration(format!("{} has no demo: start it without --demo", builder.name))
    })?;
    let instance_lock = InstanceLock::of_files(&config)?;
    create_directory(&config.data_dir)?;
    let mark = Mark(config.data_dir.join("demo-unfinished"));
    let end_ms = Clock::system().now_ms();
    let clock = Clock::manual(end_ms.saturating_sub(fill.span.as_millis() as u64));
    let services = start::open(&builder, config.clone(), clock, Access::Serve).await?;
    refuse_data(&builder.catalogue, &services, &mark).await?;
    // An address that is taken is told before the work rather than after it.
    drop(start::bind(&config).await?);

    mark.set()?;
    let app = App::new(services.clone(), (builder.open)(services).await?);
    let demo = Demo { app: app.clone(), end_ms };
    let lines = (fill.run)(demo)
        .await
        .map_err(|error| Error::internal("the demo cannot be made").because(format!("{error:#}")))?;
    start::close(&app, builder.close.as_ref()).await?;
    drop(app);

    let started = start::start_locked(builder, config, Clock::system(), Access::Serve, instance_lock).await?;
    start::serve(started, true, Some(Filled { lines, mark })).await
}

/// Only an empty service is filled: one without a row in any of the app's own tables.
async fn refuse_data(catalogue: &Catalogue, services: &Services, mark: &Mark) -> Result<()> {
    let data = services.config.data_dir.display();
    let names: Vec<&str> = services.shards.databases().iter().map(|database| database.name()).collect();
    if mark.0.exists() {
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

/// A service that was filled just now and has not been announced yet.
pub(super) struct Filled {
    pub(super) lines: Lines,
    mark: Mark,
}

impl Filled {
    /// Waits until all jobs are done; only then is the filling over.
    pub(super) async fn finish(&self, queue: &Queue) -> Result<()> {
        while !queue.waiting().await?.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
        if let Some(job) = queue.dead().await?.into_iter().next() {
            let why = job.last_error.unwrap_or_default();
            return Err(Error::internal(format!("the demo's job {} has failed: {why}", job.name)));
        }
        self.mark.clear()
    }
}

/// The file that stands in the data directory while a filling is under way.
struct Mark(PathBuf);

impl Mark {
    fn set(&self) -> Result<()> {
        let write = || {
            let mut file = File::create(&self.0)?;
            file.write_all(b"serve --demo is filling this service, or was cut short\n")?;
            file.sync_all()?;
            self.0.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
        };
        write().map_err(|error| self.cannot("write", error))
    }

    fn clear(&self) -> Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.cannot("remove", error)),
            _ => Ok(()),
        }
    }

    fn cannot(&self, what: &str, error: std::io::Error) -> Error {
        Error::unavailable(format!("cannot {what} {}", self.0.display())).because(error)
    }
}
