//! Timelines: for each reader the newest items of the accounts they follow, kept ready.
//!
//! Fan-out on write: a new item commits together with a job that adds it to the timelines of its
//! author's audience. The shards are the source of truth, and a timeline is only a copy of their newest
//! part. It records above which id it is complete; below that, readers go to the shards. A timeline can
//! be dropped at any time and is rebuilt with the same items. It is dropped when its reader follows or
//! unfollows an author, so that the rebuilt one has the right items. Authors with a large audience are
//! pulled by readers instead of pushed to them. `timeline` never touches HTTP and does not decide who
//! sees what: it returns ids.

mod fan_out;
mod memory;
pub(crate) mod page;
pub(crate) mod pulled;
mod read;
mod redis;
mod scripts;
pub(crate) mod store;

use std::sync::Arc;

pub use fan_out::FanOut;
pub use pulled::MIGRATION;

use crate::config;
use crate::error::Result;
use crate::graph::{Edge, Graph};
use crate::id::Id;
use crate::redis::Redis;
use crate::shard::{Sharded, Shards};
use fan_out::FanOutObserver;
use pulled::{Pulled, SharedVersion};
use store::Store;

/// An entity whose rows appear in the timelines of those who follow their owner, and in the
/// owner's own. Derived by [`crate::TimelineItem`].
pub trait TimelineItem: Sharded {
    /// The edge from reader to author.
    type Audience: Edge<From = Self::Owner, To = Self::Owner>;
    /// Which of an owner's timelines this is.
    const TIMELINE: &'static str;
}

/// The registration of a timeline, without its entity's type.
#[derive(Clone, Copy)]
pub struct TimelineKind {
    pub(crate) name: &'static str,
    pub(crate) audience: &'static str,
    observe: fn(&Shards, FanOutObserver),
}

impl TimelineKind {
    /// The timeline that rows of this entity appear in.
    pub fn of<T: TimelineItem>() -> Self {
        let observe = |shards: &Shards, observer| shards.observe::<T>(Arc::new(observer));
        Self { name: T::TIMELINE, audience: T::Audience::NAME, observe }
    }
}

/// All timelines; clones share everything. An inserted row of a [`TimelineItem`] appears in them, and
/// they are read with [`Read::timeline`](crate::shard::Read::timeline).
#[derive(Clone)]
pub struct Timelines(Arc<Inner>);

struct Inner {
    shards: Shards,
    graph: Graph,
    store: Store,
    pulled: Pulled,
    names: Vec<&'static str>,
    settings: config::Timeline,
}

impl Timelines {
    /// Opens these timelines, in Redis if there is one, otherwise in this process. [`FanOut`] must be
    /// among the jobs of the shards' queue.
    ///
    /// # Errors
    /// Those of any database: the pulled authors are read from all of them. Configuration, when a
    /// timeline's audience is an edge that is not registered with the graph.
    pub async fn open(
        kinds: &[TimelineKind],
        shards: Shards,
        graph: Graph,
        redis: Option<Redis>,
        settings: config::Timeline,
    ) -> Result<Self> {
        let shared = redis.map(|redis| SharedVersion::new(redis, shards.cache()));
        let pulled = Pulled::load(shards.clone(), shared.clone()).await?;
        let names: Vec<&'static str> = kinds.iter().map(|kind| kind.name).collect();
        let store =
            Store::new(shared, shards.cache(), &names, settings.length as usize, settings.cache_bytes);
        let inner = Arc::new(Inner { shards, graph, store, pulled, names, settings });
        inner.shards.provide(&inner);
        for kind in kinds {
            (kind.observe)(&inner.shards, FanOutObserver { timeline: kind.name, audience: kind.audience });
            // A weak reference: the graph holds this hook, and the timelines hold the graph.
            let inner_of_hook = Arc::downgrade(&inner);
            let name = kind.name;
            inner.graph.when_changed(kind.audience, move |reader| {
                let inner = inner_of_hook.upgrade();
                async move {
                    match inner {
                        Some(inner) => inner.store.drop_timelines(name, &[reader]).await,
                        None => Ok(()),
                    }
                }
            })?;
        }
        Ok(Self(inner))
    }

    /// The timelines of these shards.
    fn of(shards: &Shards) -> Result<Self> {
        shards.service().map(Self)
    }

    /// Drops what is kept of an owner's timelines, so that the next read rebuilds it. Connecting or
    /// disconnecting an edge does this automatically.
    ///
    /// # Errors
    /// Unavailable, when Redis is unavailable.
    pub async fn rebuild<O>(&self, owner: Id<O>) -> Result<()> {
        for name in &self.0.names {
            self.0.store.drop_timelines(name, &[owner.raw()]).await?;
        }
        Ok(())
    }
}
