//! Lists by keyset: where a page begins, and what it holds.

use crate::id::Id;

/// In which order a list is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the newest to the oldest.
    #[default]
    NewestFirst,
    /// From the oldest to the newest.
    OldestFirst,
}

/// Which part of a list is read. A keyset says after which item to continue, not how many to skip,
/// so rows that come or go in the meantime shift nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyset<P> {
    /// Only items after this one, in the list's order; from its beginning when there is none.
    pub after: Option<P>,
    /// Items at most.
    pub limit: u64,
    /// The list's order.
    pub order: Order,
}

impl<P> Keyset<P> {
    /// The newest `limit` items.
    pub fn newest(limit: u64) -> Self {
        Self { after: None, limit, order: Order::NewestFirst }
    }

    /// The oldest `limit` items.
    pub fn oldest(limit: u64) -> Self {
        Self { after: None, limit, order: Order::OldestFirst }
    }
}

/// The place of an item in a list: a few numbers, as a cursor holds them.
pub trait Position: Copy + Send + Sync {
    /// The place as numbers, none of them negative. Lists of different kinds have different counts.
    fn numbers(self) -> Vec<i64>;

    /// The place that these numbers are; `None` when they are of another kind of list.
    fn from_numbers(numbers: &[i64]) -> Option<Self>;
}

impl<E> Position for Id<E> {
    fn numbers(self) -> Vec<i64> {
        vec![self.raw()]
    }

    fn from_numbers(numbers: &[i64]) -> Option<Self> {
        match numbers {
            [id] => Some(Self::from_raw(*id)),
            _ => None,
        }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<P, T> {
    /// The items, each with its place in the list.
    pub items: Vec<(P, T)>,
    /// The place after which the next part begins; nothing at the list's end.
    pub next: Option<P>,
}

impl<P: Copy, T> List<P, T> {
    /// What a keyset gave: there is more if it gave as many items as were asked for.
    pub fn new(items: Vec<(P, T)>, limit: u64) -> Self {
        let next = items.last().map(|(place, _)| *place).filter(|_| items.len() as u64 == limit);
        Self { items, next }
    }

    /// The items without their places.
    pub fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}
