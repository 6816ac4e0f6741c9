//! Reads a part of a timeline: first what is kept ready, then the shards, with pulled authors merged in.

use std::collections::BTreeSet;

use super::page::TimelinePage;
use super::{TimelineItem, Timelines};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::shard::{Completeness, Consistency, Keyset, List, Order, Read, Rows};

/// Edges read per page when a timeline is built.
const FOLLOWED_PAGE: u64 = 1_000;

impl Read {
    /// The items of a reader's timeline, newest first, whatever the keyset's order. Items deleted
    /// meanwhile are left out.
    ///
    /// # Errors
    /// Those of the reader's own database, and of the databases of the accounts they follow; see
    /// [`Completeness`]. Invalid, when the oldest items are requested first.
    pub async fn timeline<T: TimelineItem>(
        &self,
        reader: Id<T::Owner>,
        keyset: Keyset<Id<T>>,
    ) -> Result<Rows<T>> {
        let ids = self.timeline_ids::<T>(reader, keyset).await?;
        let item_ids: Vec<Id<T>> = ids.items.iter().map(|(id, ())| *id).collect();
        let rows = self.find_many(&item_ids).await?;
        let items = rows.into_iter().map(|row| (T::id(row.peek()), row)).collect();
        Ok(List { items, next: ids.next })
    }

    /// The ids of the items of a reader's timeline, newest first. Some items may have been deleted
    /// meanwhile.
    ///
    /// # Errors
    /// As [`Self::timeline`].
    pub async fn timeline_ids<T: TimelineItem>(
        &self,
        reader: Id<T::Owner>,
        keyset: Keyset<Id<T>>,
    ) -> Result<List<Id<T>, ()>> {
        if keyset.order == Order::OldestFirst {
            return Err(Error::invalid("a timeline is read from its newest item"));
        }
        Timelines::of(self.shards())?.page(self, reader, keyset).await
    }
}

impl Timelines {
    async fn page<T: TimelineItem>(
        &self,
        read: &Read,
        reader: Id<T::Owner>,
        keyset: Keyset<Id<T>>,
    ) -> Result<List<Id<T>, ()>> {
        let limit = keyset.limit as usize;
        let before = keyset.after.map_or(i64::MAX, Id::raw);
        let key = (T::TIMELINE, reader.raw());
        // A timeline that is kept is built from all databases or not at all.
        let all = self.0.shards.read(Consistency::Primary);
        let kept = self.0.store.read(key, before, limit, read.consistency(), async |length| {
            let authors = authors::<T>(&all, reader).await?;
            let newest = all.list_many::<T>(&authors, Keyset::newest(length as u64)).await?;
            Ok(newest.items.iter().map(|(id, _)| id.raw()).collect())
        });
        let mut page = match kept.await {
            // A database is down, so no timeline can be built: the reader gets the items of the other
            // databases.
            Err(error) if error.is_unavailable() && read.completeness() == Completeness::Available => {
                TimelinePage::not_ready()
            }
            kept => kept?,
        };
        if page.complete_above < i64::MAX
            && let Err(error) = self.0.pulled.renew(page.pulled_version.take()).await
        {
            // Without the list of pulled authors, the kept items may be incomplete.
            tracing::debug!(error = error.chain(), "a timeline is read from the shards");
            page = TimelinePage::not_ready();
        }
        let mut ids: BTreeSet<i64> = page.items.iter().copied().collect();
        if ids.len() < limit && page.complete_above > 0 {
            // Below the mark, read the shards.
            let before = Id::from_raw(before.min(page.complete_above.saturating_add(1)));
            let authors = authors::<T>(&all, reader).await?;
            ids.extend(listed::<T>(read, &authors, before, keyset.limit).await?);
        }
        let pulled: Vec<Id<T::Owner>> =
            self.0.pulled.authors(T::TIMELINE).into_iter().map(Id::from_raw).collect();
        if !pulled.is_empty() {
            let followed = read.targets_among::<T::Audience>(reader, &pulled).await?;
            let authors: Vec<_> =
                pulled.into_iter().filter(|author| followed.contains(author) || *author == reader).collect();
            ids.extend(listed::<T>(read, &authors, Id::from_raw(before), keyset.limit).await?);
        }
        let newest = ids.into_iter().rev().take(limit).map(|id| (Id::from_raw(id), ())).collect();
        Ok(List::new(newest, keyset.limit))
    }
}

/// The ids of the newest items of these authors below an id.
async fn listed<T: TimelineItem>(
    read: &Read,
    authors: &[Id<T::Owner>],
    before: Id<T>,
    limit: u64,
) -> Result<Vec<i64>> {
    let keyset = Keyset { after: Some(before), ..Keyset::newest(limit) };
    let rows = read.list_many::<T>(authors, keyset).await?;
    Ok(rows.items.iter().map(|(id, _)| id.raw()).collect())
}

/// The authors in a reader's timeline: those they follow, and themselves.
async fn authors<T: TimelineItem>(read: &Read, reader: Id<T::Owner>) -> Result<Vec<Id<T::Owner>>> {
    let (mut authors, mut keyset) = (vec![reader], Keyset::newest(FOLLOWED_PAGE));
    loop {
        let followed = read.targets::<T::Audience>(reader, keyset).await?;
        authors.extend(followed.items.iter().map(|(_, id)| *id));
        if followed.next.is_none() {
            return Ok(authors);
        }
        keyset.after = followed.next;
    }
}
