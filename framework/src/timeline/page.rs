//! A part of a timeline, and the mark above which it is complete.

/// A timeline's name and its owner's id.
pub(crate) type Key = (&'static str, i64);

/// The part of a page that is kept ready.
pub(crate) struct TimelinePage {
    /// The newest of the requested items, newest first.
    pub(crate) items: Vec<i64>,
    /// Items up to this id may be missing here and are in the shards. Zero: nothing is missing.
    pub(crate) complete_above: i64,
    /// The version of the list of pulled authors that was in force when the items were read.
    pub(crate) pulled_version: Option<String>,
}

impl TimelinePage {
    /// Nothing is kept ready: everything has to be read from the shards.
    pub(crate) fn not_ready() -> Self {
        Self { items: Vec::new(), complete_above: i64::MAX, pulled_version: None }
    }

    /// The page's part of these items, which may be in any order and contain duplicates.
    pub(crate) fn from_items(mut items: Vec<i64>, complete_above: i64, before: i64, limit: usize) -> Self {
        items.retain(|item| *item > complete_above && *item < before);
        items.sort_unstable_by(|a, b| b.cmp(a));
        items.dedup();
        items.truncate(limit);
        Self { items, complete_above, pulled_version: None }
    }
}
