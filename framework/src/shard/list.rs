//! Keyset pagination: where a page begins, and what it holds.

use crate::id::Id;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// From the newest to the oldest.
    #[default]
    NewestFirst,
    /// From the oldest to the newest.
    OldestFirst,
}

/// Which part of a list to read. A keyset names the item to continue after, not a number of items to
/// skip, so rows inserted or deleted in the meantime shift nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyset<P> {
    /// Only items after this one, in the list's order; from the beginning if `None`.
    pub after: Option<P>,
    /// The maximum number of items.
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

/// The position of an item in a list: a few numbers, as encoded in a cursor.
pub trait Position: Copy + Send + Sync {
    /// The position as non-negative numbers. Different kinds of list have different counts of numbers.
    fn numbers(self) -> Vec<i64>;

    /// The position from its numbers; `None` if they are from another kind of list.
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

/// One part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<P, T> {
    /// The items, each with its position in the list.
    pub items: Vec<(P, T)>,
    /// The position to continue after; `None` at the list's end.
    pub next: Option<P>,
}

impl<P: Copy, T> List<P, T> {
    /// The result of a keyset query. More items may follow if it returned as many as requested.
    pub fn new(items: Vec<(P, T)>, limit: u64) -> Self {
        let next = items.last().map(|(place, _)| *place).filter(|_| items.len() as u64 == limit);
        Self { items, next }
    }

    /// The items without their positions.
    pub fn into_items(self) -> Vec<T> {
        self.items.into_iter().map(|(_, item)| item).collect()
    }
}
