//! The jobs, lanes and schedules that a program knows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::lane::{DEFAULT_LANE, Lane};
use super::run::{JobRun, Run};
use super::schedule::Schedule;

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
