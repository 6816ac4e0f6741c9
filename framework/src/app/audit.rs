//! The role `audit`: checks what the databases count, reports what is wrong, and repairs it if asked.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::graph::{EdgeAudit, Graph};

/// Checks every edge and its counts, with a progress bar on a terminal. Returns what was found as text.
///
/// # Errors
/// Any database error.
pub(super) async fn counts(graph: &Graph, repairs: bool) -> Result<(String, EdgeAudit)> {
    let bar = ProgressBar::new(graph.audit_size().await?);
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} edges and counts, {eta} left");
    bar.set_style(style.map_err(|error| Error::internal("the progress bar's template").because(error))?);
    let audit = graph.audit(repairs, &|read| bar.inc(read)).await;
    bar.finish_and_clear();
    let audit = audit?;
    Ok((text(&audit, repairs), audit))
}

/// A line for each kind of edge and fault, with examples below it, and a last line about all.
fn text(audit: &EdgeAudit, repairs: bool) -> String {
    let mut text = String::new();
    for ((kind, fault), found) in &audit.faults {
        let repaired = if repairs { format!(", repaired {}", found.repaired) } else { String::new() };
        let _ = writeln!(text, "{kind}: {fault}: {}{repaired}", found.count);
        for example in &found.examples {
            let _ = writeln!(text, "  {example}");
        }
    }
    // Each edge was read at both of its ends.
    let faults: u64 = audit.faults.values().map(|found| found.count).sum();
    let _ =
        writeln!(text, "checked {} counts and {} ends of edges, faults: {faults}", audit.counts, audit.edges);
    text
}
