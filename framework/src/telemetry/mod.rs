//! Telemetry: log lines on standard error, and metrics for Prometheus.
//!
//! Nothing that a request carried (tokens, queries, bodies) is ever logged.

mod metrics;
mod output;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

pub use metrics::Metrics;
pub(crate) use output::{stderr, stdout};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::error::{Error, Result};

/// Starts logging, of panics too. `filter` is in the syntax of `EnvFilter`, such as
/// `info,tripod=debug`. Lines are plain text on a terminal and JSON elsewhere. Logging never blocks or
/// fails: lines that can't be written are dropped and counted. Does nothing if logging has already
/// started.
///
/// # Errors
/// Configuration, if the filter does not parse.
pub fn start(filter: &str) -> Result<()> {
    let filter = parsed(filter)?;
    let is_terminal = std::io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr().clone())
        .log_internal_errors(false);
    let started = if is_terminal { builder.try_init() } else { builder.json().try_init() };
    if started.is_ok() {
        // The default hook writes to standard error itself, and would wait for its reader.
        std::panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

fn parsed(filter: &str) -> Result<EnvFilter> {
    let wrong = || {
        Error::configuration(format!(
            "log (TRIPOD_LOG) is {filter:?}; write a level such as \"info\" or \"info,tripod=debug\": the levels \
             are off, error, warn, info, debug and trace"
        ))
    };
    // `EnvFilter` takes a misspelt level for the name of the only target to log.
    let is_level = |word: &str| !word.is_empty() && word.parse::<LevelFilter>().is_ok();
    let is_known = |word: &str| word.contains(['=', '[', '{', '}']) || is_level(word);
    if !filter.split(',').all(|directive| is_known(directive.trim())) {
        return Err(wrong());
    }
    EnvFilter::try_new(filter).map_err(|error| wrong().because(error))
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(panic = message, place, backtrace, "a thread panicked");
}

/// For `/metrics`: how many lines of the log were dropped.
#[derive(Debug)]
pub(crate) struct DroppedLines;

impl Collector for DroppedLines {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let counter = ConstCounter::new(stderr().dropped());
        let encoder = encoder.encode_descriptor(
            "tripod_log_dropped_lines",
            "Lines of the log that could not be written to standard error",
            None,
            counter.metric_type(),
        )?;
        counter.encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_with_a_misspelt_level_is_refused() {
        for filter in ["inffo", "", "info,", "info,wran", "tripod", "tripod=inffo", "a=b=c"] {
            let error = parsed(filter).unwrap_err();
            assert!(
                error.is_configuration() && error.to_string().contains("TRIPOD_LOG"),
                "{filter}: {error}"
            );
        }
        let default = crate::config::DEFAULTS.lines().find_map(|line| line.strip_prefix("log = "));
        for filter in
            [default.unwrap().trim_matches('"'), "INFO", "warn,sqlx=trace", "off", "[request{id}]=debug,info"]
        {
            parsed(filter).unwrap();
        }
    }
}
