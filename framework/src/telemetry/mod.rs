//! Telemetry: log lines on standard error, and metrics for Prometheus.
//!
//! Nothing that a request carried (tokens, queries, bodies) is ever logged.

mod metrics;

use std::io::IsTerminal;

pub use metrics::Metrics;
use tracing_subscriber::EnvFilter;

use crate::error::{Error, Result};

/// Starts logging. `filter` is in the syntax of `EnvFilter`, such as `info,tripod=debug`. Lines are
/// plain text on a terminal and JSON elsewhere. Does nothing if logging has already started.
///
/// # Errors
/// Configuration, if the filter does not parse.
pub fn start(filter: &str) -> Result<()> {
    let parsed = EnvFilter::try_new(filter).map_err(|error| {
        Error::configuration(format!(
            "log is {filter:?}; write a level such as \"info\" or \"info,tripod=debug\""
        ))
        .because(error)
    })?;
    let builder = tracing_subscriber::fmt().with_env_filter(parsed).with_writer(std::io::stderr);
    let started =
        if std::io::stderr().is_terminal() { builder.try_init() } else { builder.json().try_init() };
    drop(started); // Tests start more than one app in a process.
    Ok(())
}
