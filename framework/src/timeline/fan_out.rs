//! Fan-out on write: the job that adds a new item to the timelines of its author's audience.

use serde::{Deserialize, Serialize};

use super::Timelines;
use crate::error::{BoxError, Error, Result};
use crate::graph::EdgePosition;
use crate::id::{Id, SEQUENCES_PER_MS, SHARDS};
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Keyset, Observed, RowObserver, Sharded, Tx};

/// Readers per page; the job saves a checkpoint after each.
const PAGE: u64 = 500;

/// An hour's worth of ids, which are ordered by time. An edge's far end usually lags by seconds only.
const AN_HOUR: i64 = 3_600_000 * SHARDS as i64 * SEQUENCES_PER_MS as i64;

/// Adds one item to its readers' timelines, a page of readers at a time. After a crash it continues from
/// its last checkpoint; adding an item twice has no further effect.
#[derive(Debug, Serialize, Deserialize)]
pub struct FanOut {
    timeline: String,
    audience: String,
    item: i64,
    author: i64,
    /// The last reader reached.
    reached: Option<EdgePosition>,
    /// Whether the item was deleted, so that the job removes it from the timelines.
    #[serde(default)]
    withdrawn: bool,
}

impl Job for FanOut {
    const NAME: &'static str = "tripod.fan_out";
    const RETRIES: u32 = 20;
}

impl<C: AsRef<Timelines> + Send + Sync + 'static> Run<C> for FanOut {
    async fn run(&mut self, context: &C, run: &JobRun) -> Result<(), BoxError> {
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
        self.deliver(context.as_ref(), timeline, &[self.author]).await?;
        if run.attempt() > 1 && !self.withdrawn {
            self.evict_earlier(context.as_ref(), timeline).await?;
        }
        loop {
            let page = Keyset { after: self.reached, ..Keyset::newest(PAGE) };
            let readers = inner.graph.sources_named(&self.audience, self.author, page).await?;
            let next = readers.next;
            let ids: Vec<i64> = readers.into_items().into_iter().map(Id::raw).collect();
            self.deliver(context.as_ref(), timeline, &ids).await?;
            if next.is_none() {
                return Ok(());
            }
            self.reached = next;
            run.checkpoint(self).await?;
        }
    }
}

impl FanOut {
    /// Adds the item to these readers' timelines, or removes it.
    async fn deliver(&self, timelines: &Timelines, timeline: &'static str, readers: &[i64]) -> Result<()> {
        let store = &timelines.0.store;
        if self.withdrawn {
            return store.remove(timeline, readers, self.item).await;
        }
        store.push(timeline, readers, self.item).await?;
        let readers: Vec<i64> = readers.iter().copied().filter(|reader| *reader != self.author).collect();
        self.evict_those_who_left(timelines, timeline, &readers).await
    }

    /// Drops the timelines of readers who have left the audience since it was read: their leaving
    /// dropped the timeline, but the item may have been pushed after that.
    async fn evict_those_who_left(
        &self,
        timelines: &Timelines,
        timeline: &'static str,
        pushed: &[i64],
    ) -> Result<()> {
        let pushed: Vec<Id<()>> = pushed.iter().copied().map(Id::from_raw).collect();
        let still = timelines.0.graph.sources_among_named(&self.audience, self.author, &pushed).await?;
        let left = pushed.iter().filter(|reader| !still.contains(*reader));
        let left: Vec<i64> = left.map(|reader| reader.raw()).collect();
        if left.is_empty() { Ok(()) } else { timelines.0.store.drop_timelines(timeline, &left).await }
    }

    /// Does the same for an earlier attempt, which may have crashed after a push and before this check.
    /// Every reader who left since about the item's creation may have received the item.
    async fn evict_earlier(&self, timelines: &Timelines, timeline: &'static str) -> Result<()> {
        let since = self.item.saturating_sub(AN_HOUR);
        let left = timelines.0.graph.sources_gone_named(&self.audience, self.author, since).await?;
        for page in left.chunks(PAGE as usize) {
            timelines.0.store.drop_timelines(timeline, page).await?;
        }
        Ok(())
    }
}

/// Fans out the rows of one entity. A job that commits with a new row adds it to the timelines of its
/// owner's audience that are kept ready; another job removes a deleted row. The owner's own timeline is
/// updated right after the commit, so that people see at once what they posted.
#[derive(Clone, Copy)]
pub(super) struct FanOutObserver {
    pub(super) timeline: &'static str,
    pub(super) audience: &'static str,
}

impl FanOutObserver {
    async fn enqueue(self, tx: Tx, item: i64, author: i64, withdrawn: bool) -> Result<()> {
        let (timelines, timeline) = (Timelines::of(tx.shards())?, self.timeline);
        tx.after_commit(async move {
            let store = &timelines.0.store;
            let own = match withdrawn {
                true => store.remove(timeline, &[author], item).await,
                false => store.push(timeline, &[author], item).await,
            };
            if let Err(error) = own {
                tracing::debug!(error = error.chain(), "an author's own timeline is left to the job");
            }
        });
        let (timeline, audience) = (self.timeline.to_owned(), self.audience.to_owned());
        tx.enqueue(FanOut { timeline, audience, item, author, reached: None, withdrawn }).await.map(drop)
    }
}

impl<E: Sharded> RowObserver<E> for FanOutObserver {
    fn inserted(&self, tx: Tx, id: Id<E>, owner: Id<E::Owner>) -> Observed {
        Box::pin(self.enqueue(tx, id.raw(), owner.raw(), false))
    }

    fn deleted(&self, tx: Tx, row: &E::Model) -> Observed {
        Box::pin(self.enqueue(tx, E::id(row).raw(), E::owner(row).raw(), true))
    }
}

impl Timelines {
    fn registered(&self, timeline: &str) -> Result<&'static str> {
        self.0.names.iter().copied().find(|name| *name == timeline).ok_or_else(|| {
            Error::configuration(format!(
                "no timeline named {timeline:?} is registered: add its entity to the app with .entity::<...>()"
            ))
        })
    }
}
