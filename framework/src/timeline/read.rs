//! Reads a page of a timeline: the part kept ready, then the shards, with pulled authors merged.

use std::collections::BTreeSet;

use super::store::Known;
use super::{TimelineItem, Timelines};
use crate::error::Result;
use crate::graph::EdgePage;
use crate::id::Id;
use crate::shard::Page;

/// Edges read at a time when a timeline is built.
const FOLLOWED_PAGE: u64 = 1_000;

/// A stretch of a timeline.
pub struct Slice<T: TimelineItem> {
    /// The ids of its items, newest first. Some may have been deleted meanwhile.
    pub ids: Vec<Id<T>>,
    /// Where the next stretch begins; nothing at the timeline's end.
    pub next: Option<Id<T>>,
}

impl Timelines {
    /// The next items of a reader's timeline, newest first; without those of a database that is down.
    ///
    /// # Errors
    /// Those of the reader's own database, and of all others when none of them answers.
    pub async fn slice<T: TimelineItem>(&self, reader: Id<T::Owner>, page: Page<T>) -> Result<Slice<T>> {
        let limit = page.limit as usize;
        let before = page.before.map_or(i64::MAX, Id::raw);
        let key = (T::TIMELINE, reader.raw());
        let read = self.0.store.read(key, before, limit, async |length| {
            let authors = self.authors::<T>(reader).await?;
            let newest = self.0.shards.list_many(&authors, Page::<T>::first(length as u64)).await?;
            Ok(newest.iter().map(|row| T::id(row.peek()).raw()).collect())
        });
        let mut known = match read.await {
            // A database is down, so none can be built: the reader gets what the others have.
            Err(error) if error.is_unavailable() => Known::nothing(),
            read => read?,
        };
        if known.complete_above < i64::MAX
            && let Err(error) = self.0.pulled.renew(known.pulled.take()).await
        {
            // Without the list of pulled authors the items kept may not be all.
            tracing::debug!(error = error.chain(), "a timeline is read from the shards");
            known = Known::nothing();
        }
        let mut ids: BTreeSet<i64> = known.items.iter().copied().collect();
        if ids.len() < limit && known.complete_above > 0 {
            // Below the mark only the shards know.
            let before = Id::from_raw(before.min(known.complete_above.saturating_add(1)));
            let authors = self.authors::<T>(reader).await?;
            ids.extend(self.listed::<T>(&authors, before, limit).await?);
        }
        let pulled: Vec<Id<T::Owner>> =
            self.0.pulled.authors(T::TIMELINE).into_iter().map(Id::from_raw).collect();
        if !pulled.is_empty() {
            let followed = self.0.graph.targets_among::<T::Audience>(reader, &pulled).await?;
            let authors: Vec<_> =
                pulled.into_iter().filter(|author| followed.contains(author) || *author == reader).collect();
            ids.extend(self.listed::<T>(&authors, Id::from_raw(before), limit).await?);
        }
        let ids: Vec<Id<T>> = ids.into_iter().rev().take(limit).map(Id::from_raw).collect();
        let next = ids.last().copied().filter(|_| ids.len() == limit);
        Ok(Slice { ids, next })
    }

    async fn listed<T: TimelineItem>(
        &self,
        authors: &[Id<T::Owner>],
        before: Id<T>,
        limit: usize,
    ) -> Result<Vec<i64>> {
        let rows = self
            .0
            .shards
            .reachable()
            .list_many(authors, Page { before: Some(before), limit: limit as u64 })
            .await?;
        Ok(rows.iter().map(|row| T::id(row.peek()).raw()).collect())
    }

    /// Whose items are in a reader's timeline: those they follow, and themselves.
    async fn authors<T: TimelineItem>(&self, reader: Id<T::Owner>) -> Result<Vec<Id<T::Owner>>> {
        let mut authors = vec![reader];
        let mut after = None;
        loop {
            let page = EdgePage { after, limit: FOLLOWED_PAGE };
            let links = self.0.graph.targets::<T::Audience>(reader, page).await?;
            authors.extend(links.iter().map(|link| link.id));
            match links.last() {
                Some(last) if links.len() as u64 == FOLLOWED_PAGE => {
                    after = Some((last.version, last.id.raw()))
                }
                _ => return Ok(authors),
            }
        }
    }
}
