//! Timelines: for each reader the newest items of those they follow, kept ready.
//!
//! Fan-out on write: a new item commits together with a job that adds it to the timelines of its
//! author's audience ([`Timelines::publish`]). The shards are the truth, and a timeline is only a
//! copy of their newest part: it states from where on it is complete, and below that readers go
//! to the shards. It can be dropped at any time and comes back the same. Authors with a large
//! audience are pulled by readers instead of pushed to them. `timeline` never touches HTTP and
//! does not decide who sees what: what it gives is `Unchecked`.

mod fan_out;
mod memory;
mod pulled;
mod read;

use std::sync::Arc;

pub use fan_out::FanOut;
pub use pulled::MIGRATION;
pub use read::Slice;

use crate::config;
use crate::error::Result;
use crate::graph::{Edge, Graph};
use crate::id::Id;
use crate::queue::Queue;
use crate::shard::{Sharded, Shards};
use memory::Memory;
use pulled::Pulled;

/// An entity whose rows appear in the timelines of those who follow their owner, and in the
/// owner's own. Derived by [`crate::TimelineItem`].
pub trait TimelineItem: Sharded {
    /// The edge from reader to author.
    type Audience: Edge<From = Self::Owner, To = Self::Owner>;
    /// Which of an owner's timelines this is.
    const TIMELINE: &'static str;
}

/// The handle on all timelines; clones share everything.
#[derive(Clone)]
pub struct Timelines(Arc<Inner>);

struct Inner {
    shards: Shards,
    graph: Graph,
    queue: Queue,
    memory: Memory,
    pulled: Pulled,
    names: Vec<&'static str>,
    settings: config::Timeline,
}

impl Timelines {
    /// The timelines of these names, kept in this process. [`FanOut`] must be among the queue's
    /// jobs.
    ///
    /// # Errors
    /// Those of any database: the pulled authors are read from all of them.
    pub async fn open(
        names: &[&'static str],
        shards: Shards,
        graph: Graph,
        queue: Queue,
        settings: config::Timeline,
    ) -> Result<Self> {
        let pulled = Pulled::load(shards.clone()).await?;
        let memory = Memory::new(settings.length as usize, settings.cache_bytes);
        // An item that was fanned out before an edge's far end was there went past its reader.
        let (kept, timelines) = (memory.clone(), names.to_vec());
        graph.when_late(move |reader| timelines.iter().for_each(|name| kept.drop_timeline(name, reader)));
        Ok(Self(Arc::new(Inner { shards, graph, queue, memory, pulled, names: names.to_vec(), settings })))
    }

    /// Makes the edge from reader to author, which brings the author's items into the reader's
    /// timeline, also the earlier ones; tells whether it was not there. Safe to repeat.
    ///
    /// # Errors
    /// Those of [`Graph::connect`].
    pub async fn follow<T: TimelineItem>(&self, reader: Id<T::Owner>, author: Id<T::Owner>) -> Result<bool> {
        let made = self.0.graph.connect::<T::Audience>(reader, author).await;
        self.rebuild::<T>(reader);
        made
    }

    /// Removes the edge, which takes the author's items out of the reader's timeline; tells
    /// whether it was there. Safe to repeat.
    ///
    /// # Errors
    /// Those of [`Graph::disconnect`].
    pub async fn unfollow<T: TimelineItem>(
        &self,
        reader: Id<T::Owner>,
        author: Id<T::Owner>,
    ) -> Result<bool> {
        let removed = self.0.graph.disconnect::<T::Audience>(reader, author).await;
        self.rebuild::<T>(reader);
        removed
    }

    /// Drops one timeline: the next read builds it anew. Also when nothing changed or the change
    /// failed: it may have been made all the same.
    fn rebuild<T: TimelineItem>(&self, reader: Id<T::Owner>) {
        self.0.memory.drop_timeline(T::TIMELINE, reader.raw());
    }

    /// Drops all timelines, as a restart would.
    pub fn drop_all(&self) {
        self.0.memory.drop_all();
    }
}
