//! Pages of lists by keyset: `?limit=&cursor=` in, `{items, next}` out.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Problem, Query};
use crate::error::{Error, Result};
use crate::shard::{Keyset, List, Order, Position};

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// The cursor of the next page; null at the end.
    #[schema(required)]
    pub next: Option<String>,
}

/// The requested page of a list.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Maximum number of items.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u16>,
    /// Where to continue: `next` of the previous page.
    #[param(min_length = 1)]
    cursor: Option<String>,
    #[serde(skip)]
    #[param(ignore)]
    order: Order,
}

/// The default and the maximum number of items in a page.
const DEFAULT_LIMIT: u16 = 20;
const MAX_LIMIT: u16 = 100;

impl PageQuery {
    /// The first page, of `limit` items.
    pub fn first(limit: u16) -> Self {
        Self { limit: Some(limit), ..Self::default() }
    }

    /// The same page, with `limit` items unless the request has its own limit.
    #[must_use]
    pub fn or_limit(self, limit: u16) -> Self {
        Self { limit: self.limit.or(Some(limit)), ..self }
    }

    /// The same page of a list ordered from oldest to newest.
    #[must_use]
    pub fn oldest_first(self) -> Self {
        Self { order: Order::OldestFirst, ..self }
    }

    /// The maximum number of items, 1 to 100.
    ///
    /// # Errors
    /// Invalid, when the limit is out of range.
    pub fn limit(&self) -> Result<u64> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=MAX_LIMIT => Ok(limit.into()),
            _ => Err(Error::invalid_field("limit", "must be from 1 to 100")),
        }
    }

    /// The keyset of the page, for lists whose items are all visible.
    ///
    /// # Errors
    /// Invalid, when the limit or the cursor is invalid.
    pub fn keyset<P: Position>(&self) -> Result<Keyset<P>> {
        let after = match &self.cursor {
            None => None,
            Some(cursor) => Some(decode(cursor).ok_or_else(|| {
                Error::invalid_field(
                    "cursor",
                    "is not one of this list; send `next` of the page before, as it was",
                )
            })?),
        };
        Ok(Keyset { after, limit: self.limit()?, order: self.order })
    }

    /// The page of a list that the viewer may not see: it has no items.
    ///
    /// # Errors
    /// Invalid, when the limit is out of range.
    pub fn empty<V>(&self) -> Result<Page<V>> {
        self.limit()?;
        Ok(Page { items: Vec::new(), next: None })
    }

    /// Fills the page from a list. `list` reads a part of it; `present` turns each item into its view,
    /// or `None` if the viewer may not see it. Both are called repeatedly until the page is full or the
    /// list ends. A page behind more than 5,000 items, nearly all of them hidden, ends there: it is not full,
    /// and its cursor continues behind them.
    ///
    /// ```
    /// use tripod::id::Id;
    /// use tripod::shard::{Keyset, List};
    /// use tripod::web::PageQuery;
    /// # struct Note;
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let list = |part: Keyset<Id<Note>>| async move {
    ///     let before = part.after.map_or(1_000, Id::raw);
    ///     let ids = (0..before).rev().take(part.limit as usize).map(|n| (Id::from_raw(n), n));
    ///     Ok(List::new(ids.collect(), part.limit))
    /// };
    /// let present = |numbers: Vec<i64>| async move {
    ///     Ok(numbers.into_iter().map(|n| (n % 7 == 0).then_some(n)).collect())
    /// };
    /// let page = PageQuery::first(3).fill(list, present).await?;
    /// assert_eq!(page.items, [994, 987, 980]);
    /// # Ok::<(), tripod::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::keyset`], of `list` and of `present`.
    pub async fn fill<P, T, V, Listed, Presented>(
        &self,
        list: impl Fn(Keyset<P>) -> Listed,
        present: impl Fn(Vec<T>) -> Presented,
    ) -> Result<Page<V>>
    where
        P: Position,
        Listed: Future<Output = Result<List<P, T>>>,
        Presented: Future<Output = Result<Vec<Option<V>>>>,
    {
        let mut page = PageBuilder::new(self.keyset()?);
        while let Some(part) = page.wants() {
            let List { items, next } = list(part).await?;
            let (places, items): (Vec<P>, Vec<T>) = items.into_iter().unzip();
            let shown = present(items).await?;
            if shown.len() != places.len() {
                let (shown, listed) = (shown.len(), places.len());
                return Err(Error::internal(format!("{listed} items were listed and {shown} presented")));
            }
            page.add(places.into_iter().zip(shown), next);
        }
        Ok(page.finish())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::from_request_parts(parts, state).await.map(|Query(page)| page)
    }
}

/// Maximum length of a part of a list that is read at once.
const MAX_CHUNK: u64 = 1_000;

/// Items that are read for one page before it ends without being full. One request must not read a whole
/// table because its viewer may see nothing of it.
const MAX_LISTED: u64 = 5_000;

/// Fills a page from parts of a list in which some items are not visible.
#[derive(Debug)]
pub struct PageBuilder<P, V> {
    items: Vec<V>,
    keyset: Keyset<P>,
    /// The minimum length of the next part. Parts grow, so that a long run of hidden items is skipped in
    /// a few steps.
    part: u64,
    /// How many items of the list were read.
    listed: u64,
    has_ended: bool,
}

impl<P: Position, V> PageBuilder<P, V> {
    /// Begins the page of this keyset.
    pub fn new(keyset: Keyset<P>) -> Self {
        Self { items: Vec::new(), keyset, part: 0, listed: 0, has_ended: false }
    }

    /// The part of the list to read next; `None` once the page is done.
    pub fn wants(&self) -> Option<Keyset<P>> {
        let missing = self.keyset.limit.saturating_sub(self.items.len() as u64);
        let limit = missing.max(self.part);
        let is_done = self.has_ended || missing == 0 || self.listed >= MAX_LISTED;
        (!is_done).then_some(Keyset { limit, ..self.keyset })
    }

    /// Adds a part: the position and the view of each item, and where the next part begins, which is
    /// `None` at the end of the list.
    pub fn add(&mut self, shown: impl IntoIterator<Item = (P, Option<V>)>, next: Option<P>) {
        self.part = (self.part * 4).clamp(20, MAX_CHUNK);
        let mut listed = 0;
        let shown = shown.into_iter().inspect(|_| listed += 1);
        let mut shown = shown.filter_map(|(place, item)| Some((place, item?)));
        while let Some((place, item)) = shown.next() {
            self.items.push(item);
            if self.items.len() as u64 == self.keyset.limit {
                self.has_ended = next.is_none() && shown.next().is_none();
                self.keyset.after = Some(place);
                return;
            }
        }
        drop(shown);
        self.listed += listed;
        self.has_ended = next.is_none();
        self.keyset.after = next;
    }

    /// The finished page, with the cursor of the next one.
    pub fn finish(self) -> Page<V> {
        Page { items: self.items, next: self.keyset.after.filter(|_| !self.has_ended).map(encode) }
    }
}

/// Encodes a cursor, which is opaque to clients: the numbers of a position. Their count distinguishes
/// lists with different orders.
fn encode(place: impl Position) -> String {
    let bytes: Vec<u8> = place.numbers().into_iter().flat_map(i64::to_be_bytes).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode<P: Position>(cursor: &str) -> Option<P> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<i64> = numbers.iter().copied().map(i64::from_be_bytes).collect();
    (rest.is_empty() && numbers.iter().all(|number| *number >= 0)).then(|| P::from_numbers(&numbers))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::EdgePosition;
    use crate::id::Id;
    use crate::testing::fuzz::fuzz;

    fn page(limit: Option<u16>, cursor: Option<&str>) -> PageQuery {
        PageQuery { limit, cursor: cursor.map(str::to_owned), order: Order::NewestFirst }
    }

    #[test]
    fn a_cursor_leads_back_to_where_it_was() {
        let id: Id<()> = Id::from_raw(i64::MAX - 5);
        assert_eq!(page(None, Some(&encode(id))).keyset().unwrap().after, Some(id));
        let edge = EdgePosition { version: 7, id: id.raw() };
        assert_eq!(page(None, Some(&encode(edge))).keyset().unwrap().after, Some(edge));
    }

    #[test]
    fn a_cursor_of_any_text_has_one_spelling_or_is_refused() {
        let places =
            [encode(Id::<()>::from_raw(i64::MAX)), encode(EdgePosition { version: 7, id: 1 }), String::new()];
        let corpus: Vec<&[u8]> = places.iter().map(String::as_bytes).collect();
        fuzz(&corpus, &[b"A", b"_-", b"=", b"%00", "é".as_bytes(), b"AAAAAAAAAAA"], |input| {
            let Ok(text) = std::str::from_utf8(input) else { return };
            if let Some(id) = decode::<Id<()>>(text) {
                assert_eq!(encode(id), text);
            }
            if let Some(edge) = decode::<EdgePosition>(text) {
                assert_eq!(encode(edge), text);
            }
            let keyset = page(None, Some(text)).keyset::<Id<()>>();
            assert!(keyset.is_ok() || keyset.is_err_and(|error| error.is_invalid()));
        });
    }

    #[test]
    fn what_is_not_a_cursor_or_a_limit_is_refused() {
        let of_another_list = encode(EdgePosition { version: 1, id: 1 });
        let negative = encode(Id::<()>::from_raw(-1));
        for cursor in ["", "x", "AAAA", "AAAAAAAAAAAA", &of_another_list, &negative, "é"] {
            let error = page(None, Some(cursor)).keyset::<Id<()>>().expect_err(cursor);
            assert!(error.is_invalid() && error.fields()[0].field == "cursor", "{error}");
        }
        for limit in [0, 101, u16::MAX] {
            assert!(page(Some(limit), None).limit().unwrap_err().is_invalid());
        }
        assert_eq!(page(None, None).limit().unwrap(), 20);
    }

    /// Reads all pages of a list of 1 to 1,000 in which only multiples of 7 are visible.
    async fn walk(query: impl Fn(Option<String>) -> PageQuery) -> Vec<i64> {
        let list = |part: Keyset<Id<()>>| async move {
            let all = 1..=1_000;
            let numbers: Vec<i64> = match (part.order, part.after.map(Id::raw)) {
                (Order::NewestFirst, after) => {
                    all.rev().filter(|n| after.is_none_or(|after| *n < after)).collect()
                }
                (Order::OldestFirst, after) => all.filter(|n| after.is_none_or(|after| *n > after)).collect(),
            };
            let numbers = numbers.into_iter().take(part.limit as usize).map(|n| (Id::from_raw(n), n));
            Ok(List::new(numbers.collect(), part.limit))
        };
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let present = |numbers: Vec<i64>| async move {
                Ok(numbers.into_iter().map(|n| (n % 7 == 0).then_some(n)).collect())
            };
            let page = query(cursor).fill(list, present).await.unwrap();
            assert!(page.items.len() == 20 || page.next.is_none());
            seen.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return seen,
            }
        }
    }

    #[tokio::test]
    async fn a_page_is_full_as_long_as_enough_is_visible() {
        let newest = walk(|cursor| PageQuery { cursor, ..PageQuery::default() }).await;
        assert_eq!(newest, (1..=1_000).rev().filter(|n| n % 7 == 0).collect::<Vec<i64>>());
        let oldest = walk(|cursor| PageQuery { cursor, ..PageQuery::default() }.oldest_first()).await;
        assert_eq!(oldest, (1..=1_000).filter(|n| n % 7 == 0).collect::<Vec<i64>>());
    }

    #[tokio::test]
    async fn a_page_behind_many_hidden_items_ends_and_leads_on() {
        const HIDDEN: i64 = 12_000;
        let listed = std::cell::Cell::new(0);
        let list = |part: Keyset<Id<()>>| {
            let numbers = (1..=HIDDEN + 5).filter(|n| part.after.is_none_or(|after| *n > after.raw()));
            let numbers = numbers.take(part.limit as usize).map(|n| (Id::from_raw(n), n));
            let part = List::new(numbers.collect(), part.limit);
            listed.set(listed.get() + part.items.len() as u64);
            async { Ok(part) }
        };
        let (mut seen, mut pages, mut cursor) = (Vec::new(), 0, None);
        loop {
            let present = |numbers: Vec<i64>| async move {
                Ok(numbers.into_iter().map(|n| (n > HIDDEN).then_some(n)).collect())
            };
            let page = PageQuery { cursor, ..PageQuery::default() }.fill(list, present).await.unwrap();
            assert!(listed.take() <= MAX_LISTED + MAX_CHUNK);
            seen.extend(page.items);
            pages += 1;
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!((seen, pages), ((HIDDEN + 1..=HIDDEN + 5).collect(), 3));
    }

    #[tokio::test]
    async fn a_presenter_that_forgets_an_item_is_an_error() {
        let list =
            |part: Keyset<Id<()>>| async move { Ok(List::new(vec![(Id::from_raw(1), 1)], part.limit)) };
        let error =
            PageQuery::first(1).fill(list, |_| async { Ok(Vec::<Option<i64>>::new()) }).await.unwrap_err();
        assert!(error.is_internal(), "{error}");
    }
}
