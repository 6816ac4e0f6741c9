//! The role `index`: makes indexes match their rows.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::{Error, Result};
use crate::index::Indexes;

/// Rebuilds an index, or all of them, with a progress bar for people. Returns a line for each.
pub(super) async fn rebuild(indexes: &Indexes, name: Option<&str>) -> Result<String> {
    let known: Vec<&str> = indexes.names().collect();
    if let Some(name) = name.filter(|name| !known.contains(name)) {
        return Err(Error::invalid(match known.as_slice() {
            [] => "this app has no index".to_owned(),
            _ => format!("there is no index {name:?}; the indexes are {}", known.join(", ")),
        }));
    }
    let mut done = String::new();
    for index in known.into_iter().filter(|index| name.is_none_or(|name| name == *index)) {
        let bar = ProgressBar::new(0).with_style(style()?).with_prefix(index);
        let rebuilt = indexes.rebuild(index, |now| {
            bar.set_length(now.total.max(now.done));
            bar.set_position(now.done);
        });
        rebuilt.await?;
        bar.finish_and_clear();
        let _ = writeln!(done, "{index}: matches its rows, {} entries and rows checked", bar.position());
    }
    Ok(done)
}

fn style() -> Result<ProgressStyle> {
    ProgressStyle::with_template("{prefix} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}")
        .map_err(|error| Error::internal("the progress bar has no style").because(error))
}
