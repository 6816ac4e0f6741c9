//! The handle that handlers and jobs receive: every part of the framework, and the app's own state.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::error::Result;
use crate::graph::{Edge, Graph};
use crate::id::{Id, Shard};
use crate::index::Indexes;
use crate::media::{MediaStore, Picture, Processed, Processor, Upload, Uploads};
use crate::queue::{Job, JobId, Queue};
use crate::redis::Redis;
use crate::shard::{Consistency, Read, Shards, Tx};
use crate::telemetry::Metrics;
use crate::timeline::Timelines;
use crate::web::{Passwords, RateLimits, SessionCookie, Sessions};

/// A running app: the framework's [`Services`], and `S`, the app's own state. Handlers receive it as
/// `State(app): State<App>` and jobs as their context. Clones are cheap and share everything.
///
/// ```no_run
/// use axum::extract::State;
/// use tripod::App;
/// use tripod::shard::Keyset;
/// use tripod::web::{Json, SignedIn};
/// # use tripod::conformance::note;
///
/// async fn count_notes(State(app): State<App>, me: SignedIn) -> tripod::Result<Json<usize>> {
///     let notes = app.cached().list::<note::Entity>(me.id(), Keyset::newest(100)).await?;
///     Ok(Json(notes.items.len()))
/// }
/// ```
pub struct App<S = ()>(Arc<Inner<S>>);

struct Inner<S> {
    services: Services,
    state: S,
}

impl<S> Clone for App<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// The parts of the framework, open and ready for use.
#[derive(Clone)]
pub struct Services {
    /// The settings.
    pub config: Arc<Config>,
    /// The sharded databases.
    pub shards: Shards,
    /// The job queue; a job commits with its transaction.
    pub queue: Queue,
    /// Edges between rows.
    pub graph: Graph,
    /// Indexes of rows by keys.
    pub indexes: Indexes,
    /// Timelines that are kept ready.
    pub timelines: Timelines,
    /// What processes share and may lose. Without it there is one process only.
    pub redis: Option<Redis>,
    /// The metrics of this process, served at `/metrics`.
    pub metrics: Metrics,
    /// Media files.
    pub media: MediaStore,
    /// Uploaded files that don't belong to a row yet.
    pub uploads: Uploads,
    /// Decodes untrusted pictures and makes safe renditions of them.
    pub pictures: Processor,
    /// Signed-in devices.
    pub sessions: Sessions,
    /// Rate limits.
    pub limits: RateLimits,
    /// Passwords, and log-ins with them.
    pub passwords: Passwords,
    /// Cancelled when the process is asked to stop. Long tasks should end then.
    pub shutdown: CancellationToken,
}

impl<S> App<S> {
    pub(crate) fn new(services: Services, state: S) -> Self {
        Self(Arc::new(Inner { services, state }))
    }

    /// The app's own state.
    pub fn state(&self) -> &S {
        &self.0.state
    }

    /// A [`Read`] with this consistency.
    pub fn read(&self, consistency: Consistency) -> Read {
        self.shards.read(consistency)
    }

    /// A [`Read`] that is at most 100 ms stale: [`Self::read`] with [`Consistency::Cached`].
    pub fn cached(&self) -> Read {
        self.read(Consistency::Cached)
    }

    /// A [`Read`] from the primary databases: [`Self::read`] with [`Consistency::Primary`].
    pub fn primary(&self) -> Read {
        self.read(Consistency::Primary)
    }

    /// Runs `work` in one transaction on a shard, usually given as an id; see [`Shards::write`].
    ///
    /// # Errors
    /// Those of [`Shards::write`].
    pub async fn write<R, F, Done>(&self, shard: impl Into<Shard>, work: F) -> Result<R>
    where
        F: FnOnce(Tx) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        self.shards.write(shard, work).await
    }

    /// Enqueues a job that belongs to no other row, on a shard that is usually given as an id; see
    /// [`Queue::enqueue`]. A job that follows from a row is enqueued in the row's transaction:
    /// [`Tx::enqueue`].
    ///
    /// # Errors
    /// Those of [`Queue::enqueue`].
    pub async fn enqueue<J: Job>(&self, shard: impl Into<Shard>, job: J) -> Result<JobId> {
        self.queue.enqueue(shard, job).await
    }

    /// Creates an edge in a transaction of its own. Returns whether it is new. See [`Tx::connect`].
    ///
    /// # Errors
    /// Those of [`Tx::connect`].
    pub async fn connect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.graph.connect::<E>(from, to).await
    }

    /// Removes an edge in a transaction of its own. Returns whether it existed. See [`Tx::disconnect`].
    ///
    /// # Errors
    /// Those of [`Tx::disconnect`].
    pub async fn disconnect<E: Edge>(&self, from: Id<E::From>, to: Id<E::To>) -> Result<bool> {
        self.graph.disconnect::<E>(from, to).await
    }

    /// Stores a picture, with its text alternative, for a row on this shard; see
    /// [`Uploads::store_pictures`].
    ///
    /// # Errors
    /// As for [`Uploads::store_pictures`].
    pub async fn store_picture(
        &self,
        shard: impl Into<Shard>,
        processed: Processed,
        alt: impl Into<String>,
    ) -> Result<(Picture, Upload)> {
        self.uploads.store_picture(&self.media, shard, processed, alt.into()).await
    }

    /// Stores pictures for a row on this shard; see [`Uploads::store_pictures`].
    ///
    /// # Errors
    /// Those of [`Uploads::store_pictures`].
    pub async fn store_pictures(
        &self,
        shard: impl Into<Shard>,
        pictures: impl IntoIterator<Item = (Processed, String)>,
    ) -> Result<(Vec<Picture>, Upload)> {
        self.uploads.store_pictures(&self.media, shard, pictures).await
    }

    /// The URL of a media file: below the public address, or relative to the server.
    pub fn media_url(&self, key: &str) -> String {
        format!("{}/media/{key}", self.config.public_url)
    }
}

impl<S> Deref for App<S> {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0.services
    }
}

impl<S> AsRef<Graph> for App<S> {
    fn as_ref(&self) -> &Graph {
        &self.graph
    }
}

impl<S> AsRef<Indexes> for App<S> {
    fn as_ref(&self) -> &Indexes {
        &self.indexes
    }
}

impl<S> AsRef<Timelines> for App<S> {
    fn as_ref(&self) -> &Timelines {
        &self.timelines
    }
}

impl<S> AsRef<MediaStore> for App<S> {
    fn as_ref(&self) -> &MediaStore {
        &self.media
    }
}

impl<S> FromRef<App<S>> for Services {
    fn from_ref(app: &App<S>) -> Self {
        app.0.services.clone()
    }
}

impl<S> FromRef<App<S>> for Shards {
    fn from_ref(app: &App<S>) -> Self {
        app.shards.clone()
    }
}

impl<S> FromRef<App<S>> for Sessions {
    fn from_ref(app: &App<S>) -> Self {
        app.sessions.clone()
    }
}

impl<S> FromRef<App<S>> for SessionCookie {
    fn from_ref(app: &App<S>) -> Self {
        Self::new(&app.config.public_url)
    }
}

impl<S> FromRef<App<S>> for RateLimits {
    fn from_ref(app: &App<S>) -> Self {
        app.limits.clone()
    }
}
