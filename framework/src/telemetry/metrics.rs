//! Figures of a process, in the text that Prometheus reads.

use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::error::{Error, Result};

/// All figures of a process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// What the text is served as.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Adds figures, which are asked for each time.
    pub fn register(&self, figures: impl Collector) {
        self.lock().register_collector(Box::new(figures));
    }

    /// All figures as they are now.
    ///
    /// # Errors
    /// Internal: some can't be written.
    pub fn text(&self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.lock())
            .map_err(|error| Error::internal("the figures can't be written").because(error))?;
        Ok(text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
