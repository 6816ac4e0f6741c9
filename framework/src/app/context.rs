//! The handle that handlers and jobs are given: every part of the framework, ready for use.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;

use crate::config::Config;
use crate::graph::Graph;
use crate::media::{MediaStore, Processor, Uploads};
use crate::queue::Queue;
use crate::redis::Redis;
use crate::shard::Shards;
use crate::telemetry::Metrics;
use crate::timeline::Timelines;
use crate::web::{Idempotency, Passwords, RateLimits, SessionCookie, Sessions};

/// Everything an app stands on: its [`Parts`]. Clones are cheap, as each layer of each request makes
/// some, and share everything.
#[derive(Clone)]
pub struct Tripod(Arc<Parts>);

/// What an app stands on.
#[derive(Clone)]
pub struct Parts {
    /// The settings.
    pub config: Arc<Config>,
    /// All data.
    pub shards: Shards,
    /// Jobs that commit with their row.
    pub queue: Queue,
    /// Edges between rows.
    pub graph: Graph,
    /// Feeds that are kept ready.
    pub timelines: Timelines,
    /// What the processes share and can lose; without it there is one process.
    pub redis: Option<Redis>,
    /// The figures of this process, served at `/metrics`.
    pub metrics: Metrics,
    /// Media files.
    pub media: MediaStore,
    /// Files on their way to a row.
    pub uploads: Uploads,
    /// Makes pictures of strangers safe to show.
    pub pictures: Processor,
    /// Signed-in devices.
    pub sessions: Sessions,
    /// Requests that are safe to repeat.
    pub idempotency: Idempotency,
    /// Rate limits.
    pub limits: RateLimits,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
}

impl From<Parts> for Tripod {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for Tripod {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Tripod {
    /// Where clients find a media file: below the public address, or relative to the server.
    pub fn media_url(&self, key: &str) -> String {
        format!("{}/media/{key}", self.config.public_url)
    }
}

impl AsRef<Graph> for Tripod {
    fn as_ref(&self) -> &Graph {
        &self.graph
    }
}

impl AsRef<Timelines> for Tripod {
    fn as_ref(&self) -> &Timelines {
        &self.timelines
    }
}

impl AsRef<MediaStore> for Tripod {
    fn as_ref(&self) -> &MediaStore {
        &self.media
    }
}

impl FromRef<Tripod> for Sessions {
    fn from_ref(tripod: &Tripod) -> Self {
        tripod.sessions.clone()
    }
}

impl FromRef<Tripod> for SessionCookie {
    fn from_ref(tripod: &Tripod) -> Self {
        Self::new(&tripod.config.public_url)
    }
}

impl FromRef<Tripod> for RateLimits {
    fn from_ref(tripod: &Tripod) -> Self {
        tripod.limits.clone()
    }
}

impl FromRef<Tripod> for Idempotency {
    fn from_ref(tripod: &Tripod) -> Self {
        tripod.idempotency.clone()
    }
}
