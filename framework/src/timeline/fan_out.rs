//! Fan-out on write: the job that adds a new item to the timelines of its author's audience.

use serde::{Deserialize, Serialize};

use super::store::Key;
use super::{TimelineItem, Timelines};
use crate::error::{Error, Result};
use crate::graph::{Edge, EdgePage};
use crate::id::{Id, SEQUENCES_PER_MS, SHARDS};
use crate::queue::{Job, JobRun, Run};
use crate::shard::Tx;

/// Readers that are pushed to between two notes of how far the job has come.
const PAGE: u64 = 500;

/// The ids of an hour: ids are ordered by time. A far end lags seconds behind, as a rule.
const AN_HOUR: i64 = 3_600_000 * SHARDS as i64 * SEQUENCES_PER_MS as i64;

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
            inner.pulled.announce(timeline, self.author).await?;
            return Ok(());
        }
        inner.store.push(timeline, &[self.author], self.item).await?;
        if run.attempt() > 1 {
            self.take_back_earlier(context.as_ref(), timeline).await?;
        }
        loop {
            let page = EdgePage { after: self.reached, limit: PAGE };
            let readers = inner.graph.sources_named(&self.audience, self.author, page).await?;
            let ids: Vec<i64> = readers.iter().map(|reader| reader.id.raw()).collect();
            inner.store.push(timeline, &ids, self.item).await?;
            self.take_back(context.as_ref(), timeline, &ids).await?;
            let Some(last) = readers.last().filter(|_| readers.len() as u64 == PAGE) else { return Ok(()) };
            self.reached = Some((last.version, last.id.raw()));
            run.checkpoint(self).await?;
        }
    }
}

impl FanOut {
    /// Drops the timelines of those who have left the audience since it was read: what was pushed
    /// to them may have come after their leaving had dropped theirs.
    async fn take_back(&self, timelines: &Timelines, timeline: &'static str, pushed: &[i64]) -> Result<()> {
        let pushed: Vec<Id<()>> = pushed.iter().copied().map(Id::from_raw).collect();
        let still = timelines.0.graph.sources_among_named(&self.audience, self.author, &pushed).await?;
        let left = pushed.iter().filter(|reader| !still.contains(*reader));
        let left: Vec<Key> = left.map(|reader| (timeline, reader.raw())).collect();
        if left.is_empty() { Ok(()) } else { timelines.0.store.drop_timelines(&left).await }
    }

    /// The same for an attempt before this one, which may have ended between the two: whoever left
    /// since about when the item was made is taken for one of its readers.
    async fn take_back_earlier(&self, timelines: &Timelines, timeline: &'static str) -> Result<()> {
        let since = self.item.saturating_sub(AN_HOUR);
        let left = timelines.0.graph.sources_gone_named(&self.audience, self.author, since).await?;
        for page in left.chunks(PAGE as usize) {
            let keys: Vec<Key> = page.iter().map(|reader| (timeline, *reader)).collect();
            timelines.0.store.drop_timelines(&keys).await?;
        }
        Ok(())
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
        let (own, new) = (author.raw(), item.raw());
        tx.after_commit(async move {
            if let Err(error) = timelines.0.store.push(timeline, &[own], new).await {
                tracing::debug!(error = error.chain(), "an author's own timeline is left to the job");
            }
        });
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
