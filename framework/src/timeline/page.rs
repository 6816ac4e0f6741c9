//! A part of a timeline, and up to where it is all of it.

/// A timeline's name and whose it is.
pub(crate) type Key = (&'static str, i64);

/// The part of a page that a timeline has ready.
pub(crate) struct TimelinePage {
    /// The newest items asked for, newest first.
    pub(crate) items: Vec<i64>,
    /// Below this there may be more, in the shards only. Zero: nothing is missing.
    pub(crate) complete_above: i64,
    /// Which list of pulled authors was in force when the items were read.
    pub(crate) pulled_version: Option<String>,
}

impl TimelinePage {
    /// Nothing is ready: all is in the shards only.
    pub(crate) fn not_ready() -> Self {
        Self { items: Vec::new(), complete_above: i64::MAX, pulled_version: None }
    }

    /// The part that is among these items, which are in any order and with repeats.
    pub(crate) fn from_items(mut items: Vec<i64>, complete_above: i64, before: i64, limit: usize) -> Self {
        items.retain(|item| *item > complete_above && *item < before);
        items.sort_unstable_by(|a, b| b.cmp(a));
        items.dedup();
        items.truncate(limit);
        Self { items, complete_above, pulled_version: None }
    }
}
