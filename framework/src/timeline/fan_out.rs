//! Fan-out on write: the job that adds a new item to the timelines of its author's audience.

use serde::{Deserialize, Serialize};

use super::{TimelineItem, Timelines};
use crate::error::{Error, Result};
use crate::graph::{Edge, EdgePage};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::Tx;

/// Readers that are pushed to between two notes of how far the job has come.
const PAGE: u64 = 500;

/// Adds one item to its readers' timelines, a page of readers at a time. After a crash it goes on
/// from the page it had reached; adding an item twice is adding it once.
#[derive(Debug, Serialize, Deserialize)]
pub struct FanOut {
    timeline: String,
    audience: String,
    item: i64,
    author: i64,
    /// The last reader reached: the edge's version and the reader's id.
    reached: Option<(i64, i64)>,
}

impl Job for FanOut {
    const NAME: &'static str = "tripod.fan_out";
    const RETRIES: u32 = 20;
}

impl<C: AsRef<Timelines> + Send + Sync + 'static> Run<C> for FanOut {
    async fn run(&mut self, context: &C, run: &JobRun) -> anyhow::Result<()> {
        let inner = &context.as_ref().0;
        let timeline = context.as_ref().registered(&self.timeline)?;
        if !inner.pulled.contains(timeline, self.author) {
            let readers = inner.graph.source_count_named(&self.audience, self.author).await?;
            if readers > u64::from(inner.settings.pull_above) {
                inner.pulled.mark(timeline, self.author).await?;
            }
        }
        if inner.pulled.contains(timeline, self.author) {
            return Ok(());
        }
        inner.memory.push(timeline, std::iter::once(self.author), self.item);
        loop {
            let page = EdgePage { after: self.reached, limit: PAGE };
            let readers = inner.graph.sources_named(&self.audience, self.author, page).await?;
            inner.memory.push(timeline, readers.iter().map(|reader| reader.id.raw()), self.item);
            let Some(last) = readers.last().filter(|_| readers.len() as u64 == PAGE) else { return Ok(()) };
            self.reached = Some((last.version, last.id.raw()));
            run.checkpoint(self).await?;
        }
    }
}

impl Timelines {
    /// Has `item` fanned out to its author's audience, if `tx` commits: a job brings it into those
    /// timelines that are kept ready. The author's own has it as soon as the commit is through, so
    /// that people see what they just made.
    ///
    /// # Errors
    /// Configuration, when `T` is not a registered timeline.
    pub async fn publish<T: TimelineItem>(
        &self,
        tx: &Tx<'_>,
        item: Id<T>,
        author: Id<T::Owner>,
    ) -> Result<()> {
        let timeline = self.registered(T::TIMELINE)?;
        let timelines = self.clone();
        let own = (author.raw(), item.raw());
        tx.after_commit(move || timelines.0.memory.push(timeline, std::iter::once(own.0), own.1));
        let job = FanOut {
            timeline: timeline.to_owned(),
            audience: T::Audience::NAME.to_owned(),
            item: item.raw(),
            author: author.raw(),
            reached: None,
        };
        self.0.queue.enqueue(tx, &job).await.map(drop)
    }

    fn registered(&self, timeline: &str) -> Result<&'static str> {
        self.0.names.iter().copied().find(|name| *name == timeline).ok_or_else(|| {
            Error::configuration(format!(
                "no timeline named {timeline:?} is registered: add its entity to the app with .timeline::<...>()"
            ))
        })
    }
}
