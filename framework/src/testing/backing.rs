//! The stores that a test runs on.

use std::any::Any;
use std::sync::Arc;

/// The backends of stores. They are removed with the last clone.
#[derive(Clone)]
pub struct Backing {
    databases: Vec<String>,
    redis: Option<String>,
    files: Arc<tempfile::TempDir>,
    _held: Arc<dyn Any + Send + Sync>,
}

impl Backing {
    /// Two new SQLite databases in a temporary directory.
    pub fn embedded() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let url = |index| format!("sqlite://{}", directory.path().join(format!("{index}.db")).display());
        Self::servers((0..2).map(url).collect(), directory)
    }

    /// Empty databases on servers, by their addresses; `held` keeps the servers running.
    pub fn servers(databases: Vec<String>, held: impl Any + Send + Sync) -> Self {
        let files = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        Self { databases, redis: None, files, _held: Arc::new(held) }
    }

    pub(crate) fn databases(&self) -> &[String] {
        &self.databases
    }

    pub(crate) fn redis(&self) -> Option<&str> {
        self.redis.as_deref()
    }

    /// The directory for its files.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.files.path()
    }

    /// The same, holding another value for as long.
    #[must_use]
    pub fn holding(mut self, held: impl Any + Send + Sync) -> Self {
        self._held = Arc::new((self._held, held));
        self
    }

    /// The same, with an empty Redis that processes share.
    #[must_use]
    pub fn with_redis(mut self, url: &str) -> Self {
        self.redis = Some(url.to_owned());
        self
    }
}
