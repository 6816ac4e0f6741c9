//! Pages of lists: `?limit=&cursor=` in, `{items, next}` out, by keyset.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{FieldError, Problem};
use crate::graph::EdgePage;
use crate::id::Id;
use crate::shard;

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The cursor of the next page; null at the end.
    #[schema(required)]
    pub next: Option<String>,
}

/// Which page of a list is asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Items at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u16>,
    /// Where to go on: `next` of the page before.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// Items a page holds unless asked otherwise, and at most.
const DEFAULT_LIMIT: u16 = 20;
const LARGEST_LIMIT: u16 = 100;

impl PageQuery {
    /// The first page, of `limit` items.
    pub fn first(limit: u16) -> Self {
        Self { limit: Some(limit), cursor: None }
    }

    /// The same page, of `limit` items unless a number was asked for.
    #[must_use]
    pub fn or_limit(self, limit: u16) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self }
    }

    /// Items at most, 1 to 100.
    ///
    /// # Errors
    /// 422 when it is outside.
    pub fn limit(&self) -> Result<u64, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=LARGEST_LIMIT => Ok(limit.into()),
            _ => Err(Problem::invalid_fields(vec![FieldError::new("limit", "must be from 1 to 100")])),
        }
    }

    /// The page of a list by id.
    ///
    /// # Errors
    /// 422 when the limit or the cursor is not one.
    pub fn by_id<E>(&self) -> Result<shard::Page<E>, Problem> {
        let before = self.position::<1>()?.map(|[id]| Id::from_raw(id));
        Ok(shard::Page { before, limit: self.limit()? })
    }

    /// The page of a list of an edge's ends.
    ///
    /// # Errors
    /// 422 when the limit or the cursor is not one.
    pub fn by_link(&self) -> Result<EdgePage, Problem> {
        let after = self.position::<2>()?.map(|[version, id]| (version, id));
        Ok(EdgePage { after, limit: self.limit()? })
    }

    fn position<const N: usize>(&self) -> Result<Option<[i64; N]>, Problem> {
        let Some(cursor) = &self.cursor else { return Ok(None) };
        decode(cursor).map(Some).ok_or_else(|| {
            Problem::invalid("cursor", "is not one of this list; send `next` of the page before, as it was")
        })
    }
}

/// The cursor that goes on after this id.
pub fn after_id<E>(id: Id<E>) -> String {
    encode(&[id.raw()])
}

/// The cursor that goes on after this end of an edge: its version and raw id.
pub fn after_link((version, id): (i64, i64)) -> String {
    encode(&[version, id])
}

/// Fills a page from a list of which not everything is visible: it is asked for stretches of the
/// list until there are enough items or the list has no more.
///
/// ```
/// use tripod::web::Filling;
/// let mut filling = Filling::new(2, None);
/// while let Some((before, limit)) = filling.wants() {
///     let rows: Vec<i64> = (0..before.unwrap_or(10)).rev().take(limit as usize).collect();
///     let next = rows.last().copied().filter(|_| rows.len() as u64 == limit);
///     filling.add(rows.into_iter().filter(|n| n % 5 == 0).map(|n| (n, n)), next);
/// }
/// assert_eq!(filling.into_page(|before| before.to_string()).items, [5, 0]);
/// ```
pub struct Filling<T, C> {
    items: Vec<T>,
    limit: u64,
    /// How long the next stretch is at least: they grow, so that a long stretch of what is not
    /// visible is passed in a few steps.
    stretch: u64,
    position: Option<C>,
    ended: bool,
}

/// The longest stretch, in rows.
const LONGEST_STRETCH: u64 = 1_000;

impl<T, C: Copy> Filling<T, C> {
    /// A page of `limit` items that begins at `start`, or with the list.
    pub fn new(limit: u64, start: Option<C>) -> Self {
        Self { items: Vec::new(), limit, stretch: 0, position: start, ended: false }
    }

    /// Where the next stretch begins and how long it is; nothing once the page is done.
    pub fn wants(&self) -> Option<(Option<C>, u64)> {
        let missing = self.limit.saturating_sub(self.items.len() as u64);
        (!self.ended && missing > 0).then_some((self.position, missing.max(self.stretch)))
    }

    /// Adds what is visible of a stretch, each with its position, and where the next stretch
    /// begins: nothing at the end.
    pub fn add(&mut self, visible: impl IntoIterator<Item = (C, T)>, next: Option<C>) {
        self.stretch = (self.stretch * 4).clamp(20, LONGEST_STRETCH);
        let mut visible = visible.into_iter();
        while let Some((position, item)) = visible.next() {
            self.items.push(item);
            if self.items.len() as u64 == self.limit {
                self.ended = next.is_none() && visible.next().is_none();
                self.position = Some(position);
                return;
            }
        }
        self.ended = next.is_none();
        self.position = next;
    }

    /// The page, with its cursor written by `write`.
    pub fn into_page(self, write: impl FnOnce(C) -> String) -> Page<T> {
        Page { items: self.items, next: self.position.filter(|_| !self.ended).map(write) }
    }
}

/// A cursor is opaque: numbers, the count of which tells lists of different order apart.
fn encode(position: &[i64]) -> String {
    let bytes: Vec<u8> = position.iter().flat_map(|number| number.to_be_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<const N: usize>(cursor: &str) -> Option<[i64; N]> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    let position: [[u8; 8]; N] = numbers.try_into().ok().filter(|_| rest.is_empty())?;
    let position = position.map(i64::from_be_bytes);
    position.iter().all(|number| *number >= 0).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(limit: Option<u16>, cursor: Option<&str>) -> PageQuery {
        PageQuery { limit, cursor: cursor.map(str::to_owned) }
    }

    #[test]
    fn a_cursor_leads_back_to_where_it_was() {
        let id: Id<()> = Id::from_raw(i64::MAX - 5);
        assert_eq!(query(None, Some(&after_id(id))).by_id::<()>().unwrap().before, Some(id));
        assert_eq!(
            query(None, Some(&after_link((7, id.raw())))).by_link().unwrap().after,
            Some((7, id.raw()))
        );
    }

    #[test]
    fn what_is_no_cursor_or_limit_is_422() {
        let of_another_list = after_link((1, 1));
        let negative = encode(&[-1]);
        for cursor in ["", "x", "AAAA", "AAAAAAAAAAAA", &of_another_list, &negative, "é"] {
            let problem = query(None, Some(cursor)).by_id::<()>().err().expect(cursor);
            assert_eq!((problem.status, problem.errors[0].field.as_str()), (422, "cursor"));
        }
        for limit in [0, 101, u16::MAX] {
            assert_eq!(query(Some(limit), None).limit().unwrap_err().status, 422);
        }
        assert_eq!(query(None, None).limit().unwrap(), 20);
    }

    #[test]
    fn a_page_is_full_as_long_as_enough_is_visible() {
        // Of 1000 down to 1 only multiples of 7 are visible.
        let (mut seen, mut start) = (Vec::new(), None);
        loop {
            let mut filling = Filling::new(20, start);
            while let Some((before, limit)) = filling.wants() {
                let rows: Vec<i64> = (1..before.unwrap_or(1_001)).rev().take(limit as usize).collect();
                let next = rows.last().copied().filter(|_| rows.len() as u64 == limit);
                filling.add(rows.into_iter().filter(|n| n % 7 == 0).map(|n| (n, n)), next);
            }
            let page = filling.into_page(|before| before.to_string());
            assert!(page.items.len() == 20 || page.next.is_none());
            seen.extend(page.items);
            let Some(next) = page.next else { break };
            start = Some(next.parse().unwrap());
        }
        assert_eq!(seen, (1..=1_000).rev().filter(|n| n % 7 == 0).collect::<Vec<i64>>());
    }
}
