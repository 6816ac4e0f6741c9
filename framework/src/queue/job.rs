//! What a job is: a name, a few constants, a payload in JSON, and `run`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::Queue;
use super::lane::{DEFAULT_LANE, Lane};
use super::schedule::Schedule;
use super::store::Claim;
use crate::error::{Error, Result};
use crate::shard::Shards;

/// A kind of job. Derived by [`crate::Job`].
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// Its name in the outbox, written by hand: renaming the type loses no queued job.
    const NAME: &'static str;
    /// How often it is tried again after its first failure, before it is put aside as dead.
    const RETRIES: u32;
    /// The lane that it runs in; see [`super::Lane`].
    const LANE: &'static str = DEFAULT_LANE;

    /// What makes this job one of a kind, if anything: while there is another of this name and key on the
    /// same shard, it is not enqueued.
    fn unique(&self) -> Option<Unique> {
        None
    }
}

/// Of the jobs of one name and key on a shard there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unique {
    /// One waits: another may be enqueued as soon as the first has begun, for what has changed since
    /// then.
    WhileWaiting(String),
    /// One waits or runs: another may be enqueued when the first is done.
    UntilDone(String),
}

/// What a job does. `C` is what it is handed: for apps, [`crate::App`].
pub trait Run<C>: Job {
    /// Runs it once. It may be stopped anywhere and run again, so its effects are idempotent.
    /// An error is kept with the job and it is tried again later.
    fn run(&mut self, context: &C, run: &JobRun) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// One attempt at a job.
pub struct JobRun {
    pub(super) queue: Queue,
    pub(super) claim: Claim,
    pub(super) shutdown: CancellationToken,
}

impl JobRun {
    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.claim.attempt
    }

    /// Cancelled when the process is told to stop. A long job stores how far it has come and ends with an
    /// error then: another process continues it. One that does not end in time is stopped with the
    /// process, and continued when its lease has ended.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.shutdown
    }

    /// All data.
    pub fn shards(&self) -> &Shards {
        &self.queue.store().shards
    }

    /// Stores how far a long job has come: if the process dies, the next attempt begins with
    /// `job` as it is now.
    ///
    /// # Errors
    /// Conflict, when the lease has been lost: another worker goes on with this job, and this one
    /// must stop.
    pub async fn checkpoint(&self, job: &(impl Job + Sync)) -> Result<()> {
        self.queue.store().checkpoint(&self.claim, encode(job)?).await
    }
}

pub(super) fn encode<J: Job>(job: &J) -> Result<String> {
    serde_json::to_string(job).map_err(|error| {
        Error::internal(format!("a job {} can't be written as JSON", J::NAME)).because(error)
    })
}

type Handler<C> = Arc<dyn Fn(Arc<C>, JobRun) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// The jobs that a program knows.
pub struct Registry<C> {
    handlers: HashMap<&'static str, Handler<C>>,
    pub(super) kinds: HashMap<&'static str, Kind>,
    /// As they were registered.
    names: Vec<&'static str>,
    pub(super) lanes: Vec<Lane>,
    pub(super) schedules: Vec<Schedule>,
    /// What is wrong with what was registered.
    mistakes: Vec<String>,
}

/// What of a kind of job the queue goes by.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) retries: u32,
    pub(super) lane: &'static str,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// Without any job.
    pub fn new() -> Self {
        Self {
            handlers: HashMap::new(),
            kinds: HashMap::new(),
            names: Vec::new(),
            lanes: Vec::new(),
            schedules: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// Adds a kind of job. One of the same name that was added before is replaced.
    pub fn register<J: Run<C>>(&mut self) {
        let handler: Handler<C> = Arc::new(|context, run| {
            async move {
                let mut job: J = serde_json::from_str(&run.claim.payload)?;
                job.run(&context, &run).await
            }
            .boxed()
        });
        self.handlers.insert(J::NAME, handler);
        self.names.push(J::NAME);
        self.kinds.insert(J::NAME, Kind { retries: J::RETRIES, lane: J::LANE });
    }

    /// Adds a lane. The default lane is there without being added; its workers are a setting.
    pub fn add_lane(&mut self, lane: Lane) {
        self.lanes.push(lane);
    }

    /// Has a job enqueued at the times of a cron pattern, in UTC: minute, hour, day of the month, month,
    /// day of the week. One run a time, however many processes there are.
    pub fn schedule<J: Run<C>>(&mut self, pattern: &str, job: impl Fn() -> J + Send + Sync + 'static) {
        match Schedule::new(pattern, job) {
            Ok(schedule) => self.schedules.push(schedule),
            Err(error) => self.mistakes.push(error.chain()),
        }
    }

    /// What contradicts itself: names given twice, lanes that are named and not there.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = self.mistakes.clone();
        let mut seen = HashSet::new();
        for name in self.names.iter().filter(|name| !seen.insert(**name)) {
            mistakes.push(format!("two jobs are named {name:?}: register it once, or give one another name"));
        }
        let mut lanes = HashSet::from([DEFAULT_LANE]);
        for lane in self.lanes.iter().filter(|lane| !lanes.insert(lane.name())) {
            mistakes.push(format!("two lanes are named {:?}: give one another name", lane.name()));
        }
        for (name, kind) in self.kinds.iter().filter(|(_, kind)| !lanes.contains(kind.lane)) {
            mistakes.push(format!(
                "the job {name:?} runs in the lane {:?}, which is not registered: add .lane(Lane::new({:?}))",
                kind.lane, kind.lane
            ));
        }
        for schedule in self.schedules.iter().filter(|schedule| !self.kinds.contains_key(schedule.name)) {
            mistakes.push(format!(
                "the job {:?} is scheduled and not registered: add .job::<...>()",
                schedule.name
            ));
        }
        mistakes.sort();
        mistakes
    }

    pub(super) fn handler(&self, name: &str) -> Option<Handler<C>> {
        self.handlers.get(name).cloned()
    }
}

impl<C: Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}
