//! Cached edges: the number of edges at an end, and the newest of those that start there.
//!
//! As in TAO, these objects are the same for every viewer: an end's counts, and an end's list.

use std::collections::HashMap;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::Ends;
use super::edge::EdgeKind;
use super::read::{counts_in, ends};
use super::table::Direction;
use crate::cache::{Batch, Changed, Region, RegionConfig};
use crate::id::{Id, timestamp_ms};
use crate::shard::{Keyset, Shards};

/// How long a count or a list is served at most, if no invalidation arrives.
const TTL: std::time::Duration = std::time::Duration::from_secs(600);
/// Maximum length of a cached list; most ends have fewer edges.
const MAX_NEIGHBOURS: u64 = 1_000;
/// The assumed maximum difference between the clocks that generate ids.
const MAX_CLOCK_SKEW_MS: u64 = 3_600_000;
/// Increment this when the cached values change their shape.
const VERSION: u64 = 1;

/// The cache regions of a kind of edge.
#[derive(Clone)]
pub(super) struct EdgeRegions {
    counts: [Region<u64>; 2],
    targets: Region<Neighbours>,
    /// Only if the kind asks for it: in a popular end's list of incoming edges, few entries would ever be
    /// read.
    sources: Option<Region<Neighbours>>,
}

/// The newest edges at an end, in one direction.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Neighbours {
    /// Their far ends, in ascending order of ids.
    ids: Vec<i64>,
    /// Every edge made after this is in the list, in milliseconds since the Unix epoch; 0: every edge
    /// is.
    since_ms: u64,
}

impl EdgeRegions {
    pub(super) fn new(shards: &Shards, EdgeKind { name: kind, caches_sources, .. }: EdgeKind) -> Self {
        let region = |what: &str| RegionConfig { name: format!("{what}.{kind}"), version: VERSION, ttl: TTL };
        let counts = |name: &str, direction: Direction| {
            let shards = shards.clone();
            Region::new(shards.clone().cache(), region(name), move |ids| {
                let shards = shards.clone();
                async move { load_counts(&shards, kind, direction, ids).await }
            })
        };
        let neighbours = |name: &str, direction: Direction| {
            let loaded = shards.clone();
            Region::new(shards.cache(), region(name), move |ids| {
                let shards = loaded.clone();
                async move {
                    join_all(ids.into_iter().map(async |id| {
                        let newest = Keyset::newest(MAX_NEIGHBOURS);
                        let newest = ends::<(), ()>(&shards, kind, direction, Id::from_raw(id), newest).await;
                        let found = newest.map(|newest| vec![(id, Neighbours::of(newest))]);
                        Batch { asked: vec![id], found }
                    }))
                    .await
                }
            })
        };
        Self {
            counts: [counts("count_out", Direction::Out), counts("count_in", Direction::In)],
            targets: neighbours("edges_out", Direction::Out),
            sources: caches_sources.then(|| neighbours("edges_in", Direction::In)),
        }
    }

    /// The cached list of an end's edges in this direction, if there is one.
    pub(super) fn neighbours(&self, direction: Direction) -> Option<&Region<Neighbours>> {
        match direction {
            Direction::Out => Some(&self.targets),
            Direction::In => self.sources.as_ref(),
        }
    }

    pub(super) fn counts(&self, direction: Direction) -> &Region<u64> {
        &self.counts[direction as usize]
    }

    /// The cached values that a change at this end invalidates.
    pub(super) fn changed(&self, direction: Direction, near: i64) -> impl Iterator<Item = Changed> {
        let list = self.neighbours(direction).map(|list| list.changed(near));
        [self.counts(direction).changed(near)].into_iter().chain(list)
    }
}

impl Neighbours {
    fn of(newest: Ends<()>) -> Self {
        let since_ms = newest.next.map_or(0, |oldest| timestamp_ms(oldest.version));
        let mut ids: Vec<i64> = newest.items.iter().map(|(_, id)| id.raw()).collect();
        ids.sort_unstable();
        Self { ids, since_ms }
    }

    /// Whether there is an edge to `far`; `None` if it may be older than the listed ones. A row younger
    /// than the oldest listed edge can't have an older edge.
    pub(super) fn contains(&self, far: i64) -> Option<bool> {
        if self.ids.binary_search(&far).is_ok() {
            return Some(true);
        }
        let is_known = self.since_ms == 0 || timestamp_ms(far) > self.since_ms + MAX_CLOCK_SKEW_MS;
        is_known.then_some(false)
    }
}

async fn load_counts(
    shards: &Shards,
    kind: &'static str,
    direction: Direction,
    ids: Vec<i64>,
) -> Vec<Batch<u64>> {
    let ids: Vec<Id<()>> = ids.into_iter().map(Id::from_raw).collect();
    let queries = shards.by_database(&ids).into_iter().map(async |(database, asked)| {
        let found = counts_in(database, kind, direction, &asked).await;
        let found = found.map(|counted| {
            let counted: HashMap<i64, u64> = counted.into_iter().collect();
            // Ends that were never counted have no row: their count is 0.
            asked.iter().map(|id| (id.raw(), counted.get(&id.raw()).copied().unwrap_or_default())).collect()
        });
        Batch { asked: asked.iter().map(|id| id.raw()).collect(), found }
    });
    join_all(queries).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::EdgePosition;
    use crate::id::{Clock, EPOCH_MS, IdGenerator, Shard};

    #[test]
    fn a_full_list_knows_of_what_is_younger_than_it() {
        let clock = Clock::manual(EPOCH_MS + 1_000_000_000);
        let (generator, shard) = (IdGenerator::new(clock.clone()), Shard::new(3).unwrap());
        let generate = || generator.generate::<()>(shard).unwrap();
        let before = generate();
        let mut edges: Vec<(EdgePosition, Id<()>)> = (0..MAX_NEIGHBOURS)
            .map(|_| {
                clock.advance(std::time::Duration::from_millis(1));
                let (id, version) = (generate(), generate().raw());
                (EdgePosition { version, id: id.raw() }, id)
            })
            .collect();
        edges.reverse();
        let liked = edges[7].1;
        let short = Neighbours::of(Ends::new(edges[1..].to_vec(), MAX_NEIGHBOURS));
        assert_eq!((short.contains(liked.raw()), short.contains(before.raw())), (Some(true), Some(false)));
        let full = Neighbours::of(Ends::new(edges, MAX_NEIGHBOURS));
        assert_eq!((full.contains(liked.raw()), full.contains(before.raw())), (Some(true), None));
        assert_eq!(full.contains(generate().raw()), None, "another clock may have been behind");
        clock.advance(std::time::Duration::from_millis(MAX_CLOCK_SKEW_MS + 1_000));
        assert_eq!(full.contains(generate().raw()), Some(false));
    }
}
