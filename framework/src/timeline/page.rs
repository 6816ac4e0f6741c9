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

    /// The requested part of this page, which holds the timeline's newest items; `None` if it does not
    /// reach that far. A page with fewer than `full` items holds all that are kept.
    pub(crate) fn part(&self, before: i64, limit: usize, full: usize) -> Option<Self> {
        let first = self.items.partition_point(|item| *item >= before);
        let items: Vec<i64> = self.items[first..].iter().take(limit).copied().collect();
        let reaches = items.len() == limit || self.items.len() < full;
        reaches.then_some(Self { items, complete_above: self.complete_above, pulled_version: None })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_given_only_if_the_page_reaches_that_far() {
        let page = TimelinePage::from_items(vec![10, 20, 30], 5, i64::MAX, 3);
        let part = |before, limit, full| page.part(before, limit, full).map(|part| part.items);
        assert_eq!(part(i64::MAX, 2, 3), Some(vec![30, 20]));
        assert_eq!(part(30, 2, 3), Some(vec![20, 10]));
        assert_eq!(part(30, 3, 3), None, "there may be more below the page");
        assert_eq!(part(30, 3, 4), Some(vec![20, 10]), "nothing more is kept");
        assert_eq!(part(25, 1, 3), Some(vec![20]));
        assert_eq!(part(10, 1, 3), None);
        assert_eq!(page.part(30, 2, 3).unwrap().complete_above, 5);
    }
}
