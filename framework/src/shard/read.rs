//! Reading: one handle that says how fresh and how complete the answers are.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::future::join_all;
use sea_orm::sea_query::{Expr, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, ExprTrait, IdenStatic, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
};

use super::{Keyset, List, Order, Sharded, Shards, TextSharded, map};
use crate::access::{Policy, Unchecked, Viewer, Visible};
use crate::db::{Database, by_code_point};
use crate::error::{Error, Result};
use crate::id::{Id, shard_of_id_sql};

/// How fresh an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Consistency {
    /// At most 100 ms stale, and with everything that this process has written: what is cached comes
    /// from the cache, everything else from its primary database.
    Cached,
    /// What the primary database holds at this moment.
    Primary,
}

/// What happens when a database does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The read fails.
    All,
    /// The answer leaves out what that database holds. When no database answers, the read fails.
    Available,
}

/// The rows of an entity, each with its place in their list.
pub type Rows<E> = List<Id<E>, Unchecked<<E as sea_orm::EntityTrait>::Model>>;

/// Reads rows, edges, counts and timelines, all with the same consistency and completeness. Made by
/// [`Shards::read`]; clones share everything.
///
/// ```no_run
/// use tripod::shard::{Consistency, Keyset, Shards};
/// # use tripod::testing::{note, author};
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
    /// Reads with this consistency, and fails when a database that is needed does not answer; see
    /// [`Read::available`].
    pub fn read(&self, consistency: Consistency) -> Read {
        Read { shards: self.clone(), consistency, completeness: Completeness::All }
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

impl Read {
    /// The same, but leaving out what a database that does not answer holds. For lists that are worth
    /// having in part; nothing that is stored may be made from what it gives.
    #[must_use]
    pub fn available(mut self) -> Self {
        self.completeness = Completeness::Available;
        self
    }

    /// How fresh the answers are.
    pub fn consistency(&self) -> Consistency {
        self.consistency
    }

    /// What happens when a database does not answer.
    pub fn completeness(&self) -> Completeness {
        self.completeness
    }

    /// The shards that are read from.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// The row of this id. A single row is never left out: when its database does not answer, the read fails.
    ///
    /// # Errors
    /// Those of its database.
    pub async fn find<E: Sharded>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>> {
        if self.consistency == Consistency::Cached
            && let Some(cache) = self.shards.row_cache::<E>()
        {
            return Ok(cache.get(id.raw()).await?.map(Unchecked::shared));
        }
        let row = E::find().filter(E::ID.eq(id)).one(self.shards.reader(id.shard())).await?;
        Ok(row.map(Unchecked::new))
    }

    /// The row of this id as `viewer` may see it.
    ///
    /// # Errors
    /// Absent, when there is no such row or `policy` hides it; those of its database.
    pub async fn visible<E: Sharded>(
        &self,
        id: Id<E>,
        viewer: Viewer,
        policy: &impl Policy<E::Model>,
    ) -> Result<Visible<E::Model>> {
        let row = self.find(id).await?.and_then(|row| row.visible_to(viewer, policy));
        row.ok_or_else(absent::<E>)
    }

    /// What `present` makes of the row of this id: the same presenter as for a page of a list.
    ///
    /// # Errors
    /// Absent, when there is no such row or `present` shows nothing of it; those of its database and of
    /// `present`.
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

    /// The rows of these ids, in their order; ids without a row are left out. One query a physical
    /// database, all at once.
    ///
    /// # Errors
    /// Those of the databases; see [`Completeness`].
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
        let mut found: HashMap<Id<E>, E::Model> = rows.map(|row| (E::id(&row), row)).collect();
        Ok(ids.iter().filter_map(|id| found.remove(id)).map(Unchecked::new).collect())
    }

    /// The rows that belong to `owner`.
    ///
    /// # Errors
    /// Those of the owner's database.
    pub async fn list<E: Sharded>(&self, owner: Id<E::Owner>, keyset: Keyset<Id<E>>) -> Result<Rows<E>> {
        let rows = page::<E>(E::find().filter(E::OWNER.eq(owner)), keyset);
        let rows = self.answered(vec![rows.all(self.shards.reader(owner.shard())).await]);
        Ok(merge::<E>(rows?, keyset))
    }

    /// The rows that belong to any of `owners`: the merge of their lists. One query a physical
    /// database, all at once.
    ///
    /// # Errors
    /// Those of the databases; see [`Completeness`].
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

    /// The rows of all owners. Costs a query on every database. A database's rows of shards that it
    /// does not hold active (left from a move, or not yet taken over) are not seen.
    ///
    /// # Errors
    /// Those of the databases; see [`Completeness`].
    pub async fn list_all<E: Sharded>(&self, keyset: Keyset<Id<E>>) -> Result<Rows<E>> {
        let held = held(&shard_of_id_sql(E::ID.as_str()));
        let queries = self.shards.databases().iter().map(async |database| {
            page::<E>(E::find().filter(held.clone()), keyset).all(database.reader()).await
        });
        Ok(merge::<E>(self.answered(join_all(queries).await)?, keyset))
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
            .one(self.shards.reader(shard))
            .await?;
        Ok(row.map(Unchecked::new))
    }

    /// The rows whose text begins with `prefix`, in the order of their texts, `limit` at most. Costs a
    /// query on every database, and the table needs a
    /// [prefix index](crate::db::CreateTables::prefix_index) of the text: its key begins with the shard.
    ///
    /// # Errors
    /// Those of the databases; see [`Completeness`].
    pub async fn starting_with<E: TextSharded>(
        &self,
        prefix: &str,
        limit: u64,
    ) -> Result<Vec<Unchecked<E::Model>>> {
        // The plus keeps the shard out of the choice of an index: SQLite would seek once a shard, by
        // the primary key, and sort all it finds.
        let held = held(&format!("+{}", E::SHARD.as_str()));
        let queries = self.shards.databases().iter().map(async |database| {
            let text = Expr::cust(by_code_point(database.reader().get_database_backend(), E::TEXT.as_str()));
            let rows = E::find().filter(held.clone()).filter(text.clone().gte(prefix));
            // U+10FFFF sorts behind every other character.
            let rows = rows.filter(text.clone().lt(format!("{prefix}\u{10FFFF}")));
            rows.order_by_asc(text).limit(limit).all(database.reader()).await
        });
        let mut rows: Vec<E::Model> = self.answered(join_all(queries).await)?.into_iter().flatten().collect();
        rows.sort_unstable_by_key(text::<E>);
        rows.truncate(limit as usize);
        Ok(rows.into_iter().map(Unchecked::new).collect())
    }

    /// The answers that a read gives, of those that the databases gave: all of them, or those there are.
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
                    "an answer leaves out what a database holds that does not answer"
                );
                Ok(given)
            }
            None => Ok(given),
        }
    }
}

/// The answer about a row that is not there, or not for this viewer.
fn absent<E: Sharded>() -> Error {
    Error::absent(format!("There is no {} with this id.", E::default().table_name()))
}

/// A keyset of rows by their ids.
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

/// The merge of several lists, each in the keyset's order.
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

/// Each id once: what is asked of the cache.
pub(super) fn distinct<E>(ids: &[Id<E>]) -> Vec<i64> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().map(|id| id.raw()).filter(|id| seen.insert(*id)).collect()
}

/// The text by which a row is found.
fn text<E: TextSharded>(row: &E::Model) -> Option<String> {
    match row.get(E::TEXT) {
        sea_orm::Value::String(text) => text,
        _ => None,
    }
}

/// Whether a row's shard, given as SQL, is one that its database holds active.
fn held(shard: &str) -> SimpleExpr {
    Expr::cust(format!("{shard} IN (SELECT shard FROM tripod_shard WHERE state = '{}')", map::ACTIVE))
}
