//! Reads: one row, many by id, and lists by owner, newest first, by keyset.

use std::collections::{BTreeMap, HashMap};

use futures::future::try_join_all;
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect, Select};

use super::{Sharded, Shards, TextSharded};
use crate::access::Unchecked;
use crate::db::Database;
use crate::error::Result;
use crate::id::Id;

/// A page of a list that goes from newer to older ids. Keyset: it says where to go on, not how
/// many to skip, so that rows that come or go meanwhile shift nothing.
pub struct Page<E> {
    /// Only rows with ids below this one; from the newest when there is none.
    pub before: Option<Id<E>>,
    /// Rows at most.
    pub limit: u64,
}

impl<E> Page<E> {
    /// The first page: the newest rows.
    pub fn first(limit: u64) -> Self {
        Self { before: None, limit }
    }
}

impl<E> Clone for Page<E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for Page<E> {}

impl<E: Sharded> Page<E> {
    pub(super) fn of(self, rows: Select<E>) -> Select<E> {
        let rows = match self.before {
            Some(before) => rows.filter(E::ID.lt(before)),
            None => rows,
        };
        rows.order_by_desc(E::ID).limit(self.limit)
    }
}

impl Shards {
    /// The row of this id.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn find<E: Sharded>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>> {
        let row = E::find().filter(E::ID.eq(id)).one(self.reader(id.shard())).await?;
        Ok(row.map(Unchecked::new))
    }

    /// The rows of these ids, in their order; ids without a row are left out. One query a
    /// physical database, all at once.
    ///
    /// # Errors
    /// Those of any of the databases.
    pub async fn find_many<E: Sharded>(&self, ids: &[Id<E>]) -> Result<Vec<Unchecked<E::Model>>> {
        let queries = self
            .by_database(ids)
            .into_iter()
            .map(async |(database, ids)| E::find().filter(E::ID.is_in(ids)).all(database.reader()).await);
        let rows = try_join_all(queries).await?.into_iter().flatten();
        let mut found: HashMap<Id<E>, E::Model> = rows.map(|row| (E::id(&row), row)).collect();
        Ok(in_order::<E>(ids, &mut found))
    }

    /// The rows that belong to `owner`, newest first.
    ///
    /// # Errors
    /// Those of the owner's database.
    pub async fn list<E: Sharded>(
        &self,
        owner: Id<E::Owner>,
        page: Page<E>,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        let rows = page.of(E::find().filter(E::OWNER.eq(owner)));
        Ok(rows.all(self.reader(owner.shard())).await?.into_iter().map(Unchecked::new).collect())
    }

    /// The rows that belong to any of `owners`, newest first: the merge of their lists. One query
    /// a physical database, all at once.
    ///
    /// # Errors
    /// Those of any of the databases.
    pub async fn list_many<E: Sharded>(
        &self,
        owners: &[Id<E::Owner>],
        page: Page<E>,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        let queries = self.by_database(owners).into_iter().map(async |(database, owners)| {
            let rows = page.of(E::find().filter(E::OWNER.is_in(owners)));
            rows.all(database.reader()).await
        });
        Ok(merge::<E>(try_join_all(queries).await?, page.limit))
    }

    /// The row keyed by this text.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn find_text<E: TextSharded>(&self, text: &str) -> Result<Option<Unchecked<E::Model>>> {
        let shard = E::shard(text);
        let row = E::find()
            .filter(E::SHARD.eq(shard.number() as i16))
            .filter(E::TEXT.eq(text))
            .one(self.reader(shard))
            .await?;
        Ok(row.map(Unchecked::new))
    }

    /// These ids, grouped by the database that holds their shard.
    pub(crate) fn by_database<T>(&self, ids: &[Id<T>]) -> Vec<(&Database, Vec<Id<T>>)> {
        let mut groups: BTreeMap<usize, Vec<Id<T>>> = BTreeMap::new();
        for id in ids {
            groups.entry(self.database_index(id.shard())).or_default().push(*id);
        }
        groups.into_iter().map(|(index, ids)| (&self.databases()[index], ids)).collect()
    }
}

/// The rows that were found, in the order in which they were asked for.
pub(super) fn in_order<E: Sharded>(
    ids: &[Id<E>],
    found: &mut HashMap<Id<E>, E::Model>,
) -> Vec<Unchecked<E::Model>> {
    ids.iter().filter_map(|id| found.remove(id)).map(Unchecked::new).collect()
}

/// The newest `limit` rows of several lists.
pub(super) fn merge<E: Sharded>(lists: Vec<Vec<E::Model>>, limit: u64) -> Vec<Unchecked<E::Model>> {
    let mut rows: Vec<E::Model> = lists.into_iter().flatten().collect();
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(E::id(row)));
    rows.truncate(limit as usize);
    rows.into_iter().map(Unchecked::new).collect()
}
