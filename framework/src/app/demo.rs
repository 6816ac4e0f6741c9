//! `serve --demo`: an empty service is filled with data to look at, and then served.
//!
//! The product says what there is ([`App::demo`]); this opens the stores on a clock that the
//! filling moves through the past, so that ids carry the times which the data speaks of. What is
//! made goes the way of everything else, jobs included: they are worked before the service says
//! that it is ready. A service that has data is left as it is. A filling that was cut short leaves
//! a mark, by which the next one says what to do instead of going on with half of it.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use indicatif::{ProgressBar, ProgressStyle};
use sea_orm::ConnectionTrait;

use super::sole::{Sole, create_directory};
use super::start::{self, Access};
use super::{App, Tripod};
use crate::config::Config;
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::Clock;
use crate::queue::Queue;

/// Between two looks at whether the queue has run empty.
const LOOK: Duration = Duration::from_millis(20);

type Lines = Vec<(&'static str, String)>;

/// How a product fills itself.
pub(super) struct Fill {
    pub(super) span: Duration,
    pub(super) run: Box<dyn FnOnce(Demo) -> BoxFuture<'static, anyhow::Result<Lines>> + Send>,
}

/// What the filling of a demo is given. Clones share everything.
#[derive(Clone)]
pub struct Demo {
    /// Every store, on the demo's clock.
    pub tripod: Tripod,
    /// When it ends: the present.
    end_ms: u64,
    bar: ProgressBar,
}

impl Demo {
    /// Moves the clock on to so long before the present. It never goes back.
    pub fn move_to(&self, ago: Duration) {
        let clock = self.tripod.shards.clock();
        let to_ms = self.end_ms.saturating_sub(ago.as_millis() as u64);
        clock.advance(Duration::from_millis(to_ms.saturating_sub(clock.now_ms())));
    }

    /// Begins a part of the work that takes so many steps.
    pub fn begin(&self, what: &'static str, steps: usize) {
        if std::io::stderr().is_terminal() {
            self.bar.reset();
            self.bar.set_length(steps as u64);
            self.bar.set_message(what);
        } else {
            eprintln!("demo: {what} ({steps})");
        }
    }

    /// One step is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

/// Fills and serves.
pub(super) async fn serve(mut app: App, config: Config) -> Result<()> {
    let fill = app
        .demo
        .take()
        .ok_or_else(|| Error::configuration(format!("{} has no demo: start it without --demo", app.name)))?;
    let sole = Sole::of_files(&config)?;
    create_directory(&config.data_dir)?;
    let mark = Mark(config.data_dir.join("demo-unfinished"));
    let end_ms = Clock::system().now_ms();
    let clock = Clock::manual(end_ms.saturating_sub(fill.span.as_millis() as u64));
    let tripod = start::open(&app, config.clone(), clock, Access::Serve).await?;
    refuse_data(&app, &tripod, &mark).await?;
    // An address that is taken is told before the work rather than after it.
    drop(start::bind(&config).await?);

    mark.set()?;
    let style = ProgressStyle::with_template("{msg:>12} {bar:32} {pos}/{len}")
        .map_err(|error| Error::internal("the progress bar has no style").because(error))?;
    let bar = ProgressBar::new(0).with_style(style);
    let demo = Demo { tripod: tripod.clone(), end_ms, bar: bar.clone() };
    let lines = (fill.run)(demo)
        .await
        .map_err(|error| Error::internal("the demo cannot be made").because(format!("{error:#}")))?;
    bar.finish_and_clear();
    for database in tripod.shards.databases() {
        database.close().await?;
    }
    drop(tripod);

    let started = start::start_locked(app, config, Clock::system(), Access::Serve, sole).await?;
    start::serve(started, true, Some(Filled { lines, mark })).await
}

/// Only an empty service is filled: one without a row in any of the app's own tables.
async fn refuse_data(app: &App, tripod: &Tripod, mark: &Mark) -> Result<()> {
    let data = tripod.config.data_dir.display();
    let names: Vec<&str> = tripod.shards.databases().iter().map(|database| database.name()).collect();
    if mark.0.exists() {
        return Err(Error::configuration(format!(
            "an earlier --demo was cut short and has left half of its data: delete {} and {}, then start it again, \
             or set data_dir (TRIPOD_DATA_DIR) to a new directory",
            data,
            names.join(", ")
        )));
    }
    for database in tripod.shards.databases() {
        for table in &app.tables {
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
