//! The registered jobs, lanes and schedules of a program.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::lane::{DEFAULT_LANE, Lane};
use super::run::{JobRun, Run};
use super::schedule::Schedule;
use crate::error::BoxError;

type Handler<C> = Arc<dyn Fn(Arc<C>, JobRun) -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// The registered jobs of a program.
pub struct Registry<C> {
    handlers: HashMap<&'static str, Handler<C>>,
    pub(super) kinds: HashMap<&'static str, Kind>,
    /// In order of registration.
    names: Vec<&'static str>,
    pub(super) lanes: Vec<Lane>,
    pub(super) schedules: Vec<Schedule>,
    /// Errors found during registration.
    mistakes: Vec<String>,
}

/// The properties of a kind of job that the queue needs.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) retries: u32,
    pub(super) lane: &'static str,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// An empty registry.
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

    /// Adds a kind of job, replacing an earlier one with the same name.
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

    /// Adds a lane. The default lane always exists; its number of workers is a setting.
    pub fn add_lane(&mut self, lane: Lane) {
        self.lanes.push(lane);
    }

    /// Enqueues a job at the times of a cron pattern in UTC: minute, hour, day of the month, month, day
    /// of the week. The job runs once per time, however many processes there are.
    pub fn schedule<J: Run<C>>(&mut self, pattern: &str, job: impl Fn() -> J + Send + Sync + 'static) {
        match Schedule::new(pattern, job) {
            Ok(schedule) => self.schedules.push(schedule),
            Err(error) => self.mistakes.push(error.chain()),
        }
    }

    /// Contradictions: duplicate names, and lanes that are used but not added.
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
