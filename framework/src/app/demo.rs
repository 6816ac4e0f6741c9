//! The data of `serve --demo`, and the marker of a seeding that has not finished.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;

use super::context::App;
use crate::config::Config;
use crate::error::{BoxError, Error, Result};
use crate::queue::Queue;

/// The pause between two checks of whether the queue is empty.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

type Lines = Vec<(&'static str, String)>;
type Seeding = BoxFuture<'static, Result<Lines, BoxError>>;

/// How an app fills itself with data.
pub(super) struct DemoSeeder<S> {
    pub(super) span: Duration,
    pub(super) run: Box<dyn FnOnce(Demo<S>) -> Seeding + Send>,
}

/// What a demo's seeding function receives. Clones share everything.
pub struct Demo<S = ()> {
    /// The app, on the demo's clock.
    pub app: App<S>,
    /// The present, at which the seeding ends.
    end_ms: u64,
}

impl<S> Clone for Demo<S> {
    fn clone(&self) -> Self {
        Self { app: self.app.clone(), end_ms: self.end_ms }
    }
}

impl<S> Demo<S> {
    pub(super) fn new(app: App<S>, end_ms: u64) -> Self {
        Self { app, end_ms }
    }

    /// Moves the clock forward to this long before the present. The clock never goes back.
    pub fn move_to(&self, ago: Duration) {
        let clock = self.app.shards.clock();
        let to_ms = self.end_ms.saturating_sub(ago.as_millis() as u64);
        clock.advance(Duration::from_millis(to_ms.saturating_sub(clock.now_ms())));
    }
}

/// A service that was just seeded and not yet announced.
pub(super) struct SeededDemo {
    pub(super) lines: Lines,
    marker: UnfinishedMarker,
}

impl SeededDemo {
    pub(super) fn new(lines: Lines, marker: UnfinishedMarker) -> Self {
        Self { lines, marker }
    }

    /// Waits until all jobs are done; only then is the seeding complete.
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

/// A file in the data directory that exists while the seeding is unfinished.
pub(super) struct UnfinishedMarker(PathBuf);

impl UnfinishedMarker {
    pub(super) fn of(config: &Config) -> Self {
        Self(config.data_dir.join("demo-unfinished"))
    }

    pub(super) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(super) fn create(&self) -> Result<()> {
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
