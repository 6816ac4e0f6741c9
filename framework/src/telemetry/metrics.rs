//! The metrics of a process, in the text format that Prometheus reads.

use std::sync::{Arc, Mutex};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::error::{Error, Result};

/// All metrics of a process; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// The content type of the text.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// Registers metrics, which are collected each time they are read.
    pub fn register(&self, figures: impl Collector) {
        self.lock().register_collector(Box::new(figures));
    }

    /// All metrics, with their current values.
    ///
    /// # Errors
    /// Internal, if some can't be encoded.
    pub fn text(&self) -> Result<String> {
        let mut text = String::new();
        encode(&mut text, &self.lock())
            .map_err(|error| Error::internal("the metrics can't be encoded").because(error))?;
        Ok(text)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}
