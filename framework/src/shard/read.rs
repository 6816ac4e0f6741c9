//! Reads: one handle that determines how fresh and how complete the results are.

use std::collections::BTreeMap;

use futures::future::join_all;
use sea_orm::sea_query::{Expr, IntoCondition, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, ExprTrait, IdenStatic, ModelTrait, QueryFilter, QueryOrder,
    QuerySelect, Select,
};

use super::{Keyset, List, Order, Sharded, Shards, TextSharded, map};
use crate::access::{Policy, Unchecked, Viewer, Visible};
use crate::db::{Database, by_code_point};
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet, shard_of_id_sql};

/// How fresh a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// At most 100 ms stale, and never older than this process's own writes. Cached data comes from the
    /// cache, everything else from its primary database.
    Cached,
    /// The current state of the primary database.
    Primary,
}

/// What happens if a database does not respond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The read fails.
    All,
    /// The result leaves out that database's data. If no database responds, the read fails.
    Available,
}

/// The rows of an entity, each with its position in the list.
pub type Rows<E> = List<Id<E>, Unchecked<<E as sea_orm::EntityTrait>::Model>>;

/// Reads rows, edges, counts and timelines, all with the same consistency and completeness. Created by
/// [`Shards::read`]; clones share everything.
///
/// ```no_run
/// use tripod::shard::{Consistency, Keyset, Shards};
/// # use tripod::conformance::{note, author};
/// # async fn f(shards: Shards, author: tripod::id::Id<author::Entity>) -> tripod::Result<()> {
/// let read = shards.read(Consistency::Cached).available();
/// let notes = read.list::<note::Entity>(author, Keyset::newest(20)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Read {
    shards: Shards,
    consistency: Consistency,
    completeness: Completeness,
}

impl Shards {
    /// Reads with this consistency, and fails if a required database does not respond; see
    /// [`Read::available`].
    pub fn read(&self, consistency: Consistency) -> Read {
        Read { shards: self.clone(), consistency, completeness: Completeness::All }
    }

    /// Groups these ids by the database that holds their shard.
    pub(crate) fn by_database<T>(&self, ids: &[Id<T>]) -> Vec<(&Database, Vec<Id<T>>)> {
        let mut groups: BTreeMap<usize, Vec<Id<T>>> = BTreeMap::new();
        for id in ids {
            groups.entry(self.database_index(id.shard())).or_default().push(*id);
        }
        groups.into_iter().map(|(index, ids)| (&self.databases()[index], ids)).collect()
    }
}

impl Read {
    /// The same, but leaves out the data of databases that do not respond. For lists that are useful in
    /// part; never store anything derived from the result.
    #[must_use]
    pub fn available(mut self) -> Self {
        self.completeness = Completeness::Available;
        self
    }

    /// How fresh the results are.
    pub fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// What happens if a database does not respond.
    pub fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// The shards to read from.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// The row with this id. A single row is never left out: if its database does not respond, the read
    /// fails.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn find<E: Sharded>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>> {
        if self.consistency == Consistency::Cached
            && let Some(cache) = self.shards.row_cache::<E>()
        {
            return Ok(cache.get(id.raw()).await?.map(Unchecked::shared));
        }
        let row = E::find().filter(E::ID.eq(id)).one(self.shards.reader(id.shard())).await?;
        Ok(row.map(Unchecked::new))
    }

    /// The row with this id, if `viewer` may see it.
    ///
    /// # Errors
    /// Absent, if there is no such row or `policy` hides it; any error of its database.
    pub async fn visible<E: Sharded>(
        &self,
        id: Id<E>,
        viewer: Viewer,
        policy: &impl Policy<E::Model>,
    ) -> Result<Visible<E::Model>> {
        let row = self.find(id).await?.and_then(|row| row.visible_to(viewer, policy));
        row.ok_or_else(absent::<E>)
    }

    /// Passes the row with this id through `present`, the same presenter as for a page of a list.
    ///
    /// # Errors
    /// Absent, if there is no such row or `present` returns nothing for it; any error of its database or
    /// of `present`.
    pub async fn present<E: Sharded, V, Presented>(
        &self,
        id: Id<E>,
        present: impl FnOnce(Vec<Unchecked<E::Model>>) -> Presented,
    ) -> Result<V>
    where
        Presented: Future<Output = Result<Vec<Option<V>>>>,
    {
        let shown = match self.find(id).await? {
            Some(row) => present(vec![row]).await?.pop().flatten(),
            None => None,
        };
        shown.ok_or_else(absent::<E>)
    }

    /// The rows with these ids, in the order of the ids; ids without a row are left out. Makes one query
    /// per physical database, all concurrently.
    ///
    /// # Errors
    /// Any database error; see [`Completeness`].
    pub async fn find_many<E: Sharded>(&self, ids: &[Id<E>]) -> Result<Vec<Unchecked<E::Model>>> {
        if self.consistency == Consistency::Cached
            && let Some(cache) = self.shards.row_cache::<E>()
        {
            let rows = self.answered(cache.get_each(&distinct(ids)).await)?;
            return Ok(rows.into_iter().flatten().map(Unchecked::shared).collect());
        }
        let queries = self
            .shards
            .by_database(ids)
            .into_iter()
            .map(async |(database, ids)| E::find().filter(E::ID.is_in(ids)).all(database.reader()).await);
        let rows = self.answered(join_all(queries).await)?.into_iter().flatten();
        let mut found: IdMap<E, E::Model> = rows.map(|row| (E::id(&row), row)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(Unchecked::new).collect())
    }

    /// The rows that belong to `owner`.
    ///
    /// # Errors
    /// Any error of the owner's database.
    pub async fn list<E: Sharded>(&self, owner: Id<E::Owner>, keyset: Keyset<Id<E>>) -> Result<Rows<E>> {
        self.list_where::<E>(owner, Condition::all(), keyset).await
    }

    /// The rows that belong to `owner` and match a filter, such as those that answer no other. The database
    /// skips the others one by one, unless an index leads to those that match.
    ///
    /// # Errors
    /// Any error of the owner's database.
    pub async fn list_where<E: Sharded>(
        &self,
        owner: Id<E::Owner>,
        filter: impl IntoCondition,
        keyset: Keyset<Id<E>>,
    ) -> Result<Rows<E>> {
        let filter = Condition::all().add(E::OWNER.eq(owner)).add(filter.into_condition());
        let rows = page::<E>(E::find().filter(filter), keyset);
        let rows = self.answered(vec![rows.all(self.shards.reader(owner.shard())).await]);
        Ok(merge::<E>(rows?, keyset))
    }

    /// The rows that belong to any of `owners`: their lists, merged. Makes one query per physical
    /// database, all concurrently.
    ///
    /// # Errors
    /// Any database error; see [`Completeness`].
    pub async fn list_many<E: Sharded>(
        &self,
        owners: &[Id<E::Owner>],
        keyset: Keyset<Id<E>>,
    ) -> Result<Rows<E>> {
        let queries = self.shards.by_database(owners).into_iter().map(async |(database, owners)| {
            let rows = page::<E>(E::find().filter(E::OWNER.is_in(owners)), keyset);
            rows.all(database.reader()).await
        });
        Ok(merge::<E>(self.answered(join_all(queries).await)?, keyset))
    }

    /// The rows of all owners. Costs a query on every database. Leaves out rows on shards that their
    /// database does not hold as active: left from a move, or not yet taken over.
    ///
    /// # Errors
    /// Any database error; see [`Completeness`].
    pub async fn list_all<E: Sharded>(&self, keyset: Keyset<Id<E>>) -> Result<Rows<E>> {
        self.list_matching(Condition::all(), keyset).await
    }

    /// The rows of all owners that match a filter, such as those by an author who is not their owner. Costs
    /// a query on every database, and the filter should have an index. Leaves out what [`Self::list_all`]
    /// leaves out.
    ///
    /// # Errors
    /// Any database error; see [`Completeness`].
    pub async fn list_matching<E: Sharded>(
        &self,
        filter: impl IntoCondition,
        keyset: Keyset<Id<E>>,
    ) -> Result<Rows<E>> {
        let filter =
            Condition::all().add(held(&shard_of_id_sql(E::ID.as_str()))).add(filter.into_condition());
        let queries = self.shards.databases().iter().map(async |database| {
            let rows = E::find().filter(filter.clone());
            page::<E>(rows, keyset).all(database.reader()).await
        });
        Ok(merge::<E>(self.answered(join_all(queries).await)?, keyset))
    }

    /// The row with this text as its key.
    ///
    /// # Errors
    /// Any error of its database.
    pub async fn find_text<E: TextSharded>(&self, text: &str) -> Result<Option<Unchecked<E::Model>>> {
        let shard = E::shard(text);
        let row = E::find()
            .filter(E::SHARD.eq(shard.number() as i16))
            .filter(E::TEXT.eq(text))
            .one(self.shards.reader(shard))
            .await?;
        Ok(row.map(Unchecked::new))
    }

    /// The rows whose text begins with `prefix`, sorted by text, at most `limit`. Costs a query on every
    /// database. The table needs a [prefix index](crate::db::CreateTables::prefix_index) on the text,
    /// because its key begins with the shard.
    ///
    /// # Errors
    /// Any database error; see [`Completeness`].
    pub async fn starting_with<E: TextSharded>(
        &self,
        prefix: &str,
        limit: u64,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        // The plus keeps SQLite from choosing an index by the shard: it would seek once per shard in the
        // primary key and sort everything it finds.
        let held = held(&format!("+{}", E::SHARD.as_str()));
        let queries = self.shards.databases().iter().map(async |database| {
            let text = Expr::cust(by_code_point(database.reader().get_database_backend(), E::TEXT.as_str()));
            let rows = E::find().filter(held.clone()).filter(text.clone().gte(prefix));
            // U+10FFFF sorts after every other character.
            let rows = rows.filter(text.clone().lt(format!("{prefix}\u{10FFFF}")));
            rows.order_by_asc(text).limit(limit).all(database.reader()).await
        });
        let mut rows: Vec<E::Model> = self.answered(join_all(queries).await)?.into_iter().flatten().collect();
        rows.sort_unstable_by_key(text::<E>);
        rows.truncate(limit as usize);
        Ok(rows.into_iter().map(Unchecked::new).collect())
    }

    /// The databases' results that a read returns: all of them, or the available ones.
    pub(crate) fn answered<T, E: Into<Error>>(&self, answers: Vec<Result<T, E>>) -> Result<Vec<T>> {
        let (mut given, mut away) = (Vec::with_capacity(answers.len()), None);
        for answer in answers {
            match answer.map_err(Into::into) {
                Ok(answer) => given.push(answer),
                Err(error) if error.is_unavailable() && self.completeness == Completeness::Available => {
                    away = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match away {
            Some(error) if given.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(
                    error = error.chain(),
                    "a result leaves out the data of a database that does not answer"
                );
                Ok(given)
            }
            None => Ok(given),
        }
    }
}

/// The error for a row that does not exist or is hidden from the viewer.
fn absent<E: Sharded>() -> Error {
    Error::absent(format!("There is no {} with this id.", E::default().table_name()))
}

/// Applies a keyset to a query for rows by id.
fn page<E: Sharded>(rows: Select<E>, Keyset { after, limit, order }: Keyset<Id<E>>) -> Select<E> {
    let rows = match (after, order) {
        (None, _) => rows,
        (Some(after), Order::NewestFirst) => rows.filter(E::ID.lt(after)),
        (Some(after), Order::OldestFirst) => rows.filter(E::ID.gt(after)),
    };
    let rows = match order {
        Order::NewestFirst => rows.order_by_desc(E::ID),
        Order::OldestFirst => rows.order_by_asc(E::ID),
    };
    rows.limit(limit)
}

/// Merges several lists, each in the keyset's order.
fn merge<E: Sharded>(lists: Vec<Vec<E::Model>>, keyset: Keyset<Id<E>>) -> Rows<E> {
    let mut rows: Vec<E::Model> = lists.into_iter().flatten().collect();
    match keyset.order {
        Order::NewestFirst => rows.sort_unstable_by_key(|row| std::cmp::Reverse(E::id(row))),
        Order::OldestFirst => rows.sort_unstable_by_key(E::id),
    }
    rows.truncate(keyset.limit as usize);
    let rows = rows.into_iter().map(|row| (E::id(&row), Unchecked::new(row))).collect();
    List::new(rows, keyset.limit)
}

/// Each id once, for a cache lookup.
pub(super) fn distinct<E>(ids: &[Id<E>]) -> Vec<i64> {
    let mut seen = IdSet::with_capacity_and_hasher(ids.len(), Default::default());
    ids.iter().filter(|id| seen.insert(**id)).map(|id| id.raw()).collect()
}

/// The text that is a row's key.
fn text<E: TextSharded>(row: &E::Model) -> Option<String> {
    match row.get(E::TEXT) {
        sea_orm::Value::String(text) => text,
        _ => None,
    }
}

/// SQL for whether the database holds a row's shard, itself given as SQL, as active.
fn held(shard: &str) -> SimpleExpr {
    Expr::cust(format!("{shard} IN (SELECT shard FROM tripod_shard WHERE state = '{}')", map::ACTIVE))
}
