//! Walks over all edges of a row, a page at a time, that a job can continue after a crash.

use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::{Edge, EdgePosition};
use crate::error::Result;
use crate::id::Id;
use crate::shard::{Keyset, Read};

/// Edges per page of a walk.
const PAGE: u64 = 200;

/// A walk over the sources of the edges to a row, newest edge first. It is a field of a job: each
/// checkpoint stores it, and the next attempt continues where the last one stopped.
///
/// ```
/// # use tripod::queue::{JobRun, Run};
/// # use tripod::{App, BoxError, Job};
/// # use serde::{Deserialize, Serialize};
/// # use tripod::conformance::{Reads, author};
/// # type AuthorId = tripod::id::Id<author::Entity>;
/// use tripod::graph::SourceWalk;
///
/// #[derive(Serialize, Deserialize, Job)]
/// #[job(name = "tell_readers")]
/// struct TellReaders { readers: SourceWalk<Reads> }
///
/// impl Run<App> for TellReaders {
///     async fn run(&mut self, app: &App, run: &JobRun) -> Result<(), BoxError> {
///         while let Some(readers) = self.readers.next(&app.primary()).await? {
///             for reader in readers { /* tell the reader */ }
///             run.checkpoint(self).await?;
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SourceWalk<E: Edge> {
    to: Id<E::To>,
    reached: Option<EdgePosition>,
    has_ended: bool,
    #[serde(skip)]
    edge: PhantomData<fn() -> E>,
}

impl<E: Edge> SourceWalk<E> {
    /// Starts a walk over the sources of the edges to `to`.
    pub fn new(to: Id<E::To>) -> Self {
        Self { to, reached: None, has_ended: false, edge: PhantomData }
    }

    /// The next sources; `None` after the last. Edges added during the walk are not part of it.
    ///
    /// # Errors
    /// Any database error.
    pub async fn next(&mut self, read: &Read) -> Result<Option<Vec<Id<E::From>>>> {
        if self.has_ended {
            return Ok(None);
        }
        let part = Keyset { after: self.reached, ..Keyset::newest(PAGE) };
        let sources = read.sources::<E>(self.to, part).await?;
        self.has_ended = sources.next.is_none();
        self.reached = sources.next;
        let ids = sources.into_items();
        Ok((!ids.is_empty()).then_some(ids))
    }
}

impl<E: Edge> fmt::Debug for SourceWalk<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceWalk")
            .field("to", &self.to)
            .field("reached", &self.reached)
            .finish_non_exhaustive()
    }
}
