//! Reads of edges: pages of neighbours, which of many are neighbours, and counts.

use std::collections::{HashMap, HashSet};

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::table::Direction;
use super::{Edge, Graph};
use crate::db::{Database, Reader, statement};
use crate::error::{Error, Result};
use crate::id::Id;
use crate::shard::Shards;

/// One neighbour, and since when.
#[derive(Debug, PartialEq, Eq)]
pub struct Link<T> {
    /// What is at the other end.
    pub id: Id<T>,
    /// Orders the neighbours of one end by when the edge was made.
    pub version: i64,
}

impl<T> Clone for Link<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Link<T> {}

/// A page of neighbours, newest first, by keyset.
#[derive(Clone, Copy, Debug)]
pub struct EdgePage {
    /// Only those after this one: its version and raw id.
    pub after: Option<(i64, i64)>,
    /// Neighbours at most.
    pub limit: u64,
}

impl Graph {
    /// Whom `from` points to, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn targets<E: Edge>(&self, from: Id<E::From>, page: EdgePage) -> Result<Vec<Link<E::To>>> {
        links(&self.shards, E::NAME, Direction::Out, from, page).await
    }

    /// Who points to `to`, newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sources<E: Edge>(&self, to: Id<E::To>, page: EdgePage) -> Result<Vec<Link<E::From>>> {
        links(&self.shards, E::NAME, Direction::In, to, page).await
    }

    /// Which of `among` `from` points to, through the cache: as it was at most 100 ms ago.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn targets_among<E: Edge>(
        &self,
        from: Id<E::From>,
        among: &[Id<E::To>],
    ) -> Result<HashSet<Id<E::To>>> {
        if among.is_empty() {
            return Ok(HashSet::new());
        }
        let neighbours = self.regions(E::NAME)?.targets.get(from.raw()).await?;
        let known = |id: &Id<E::To>| neighbours.as_ref().and_then(|neighbours| neighbours.contains(id.raw()));
        let mut targets: HashSet<Id<E::To>> =
            among.iter().filter(|id| known(id) == Some(true)).copied().collect();
        let older: Vec<Id<E::To>> = among.iter().filter(|id| known(id).is_none()).copied().collect();
        targets.extend(self.links_among(E::NAME, Direction::Out, from, &older).await?);
        Ok(targets)
    }

    /// Which of `among` point to `to`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sources_among<E: Edge>(
        &self,
        to: Id<E::To>,
        among: &[Id<E::From>],
    ) -> Result<HashSet<Id<E::From>>> {
        self.links_among(E::NAME, Direction::In, to, among).await
    }

    /// How many each of these points to, through the cache: as it was at most 100 ms ago.
    ///
    /// # Errors
    /// Those of any of the databases.
    pub async fn target_counts<E: Edge>(&self, from: &[Id<E::From>]) -> Result<HashMap<Id<E::From>, u64>> {
        self.counts(E::NAME, Direction::Out, from).await
    }

    /// How many point to each of these, through the cache: as it was at most 100 ms ago.
    ///
    /// # Errors
    /// Those of any of the databases.
    pub async fn source_counts<E: Edge>(&self, to: &[Id<E::To>]) -> Result<HashMap<Id<E::To>, u64>> {
        self.counts(E::NAME, Direction::In, to).await
    }

    /// [`Self::sources`] of an edge known by its name, for jobs.
    pub(crate) async fn sources_named(&self, kind: &str, to: i64, page: EdgePage) -> Result<Vec<Link<()>>> {
        links(&self.shards, kind, Direction::In, Id::<()>::from_raw(to), page).await
    }

    /// [`Self::sources_among`] of an edge known by its name, for jobs.
    pub(crate) async fn sources_among_named(
        &self,
        kind: &str,
        to: i64,
        among: &[Id<()>],
    ) -> Result<HashSet<Id<()>>> {
        self.links_among(kind, Direction::In, Id::<()>::from_raw(to), among).await
    }

    /// Whose edges of this name to `to` were removed by a change later than `version`.
    pub(crate) async fn sources_gone_named(&self, kind: &str, to: i64, version: i64) -> Result<Vec<i64>> {
        let to = Id::<()>::from_raw(to);
        let sql = "SELECT far_id FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction = $3 \
                   AND live = FALSE AND version > $4";
        let values = [to.into(), kind.into(), (Direction::In as i16).into(), version.into()];
        let rows = query(self.shards.reader(to.shard()), sql, values).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// How many edges of this name point to `to`, for jobs.
    pub(crate) async fn source_count_named(&self, kind: &str, to: i64) -> Result<u64> {
        let to = Id::<()>::from_raw(to);
        let counted = counts_in(self.shards.database(to.shard()), kind, Direction::In, &[to]).await?;
        Ok(counted.first().map_or(0, |(_, count)| *count))
    }

    async fn links_among<N, F>(
        &self,
        kind: &str,
        direction: Direction,
        near: Id<N>,
        among: &[Id<F>],
    ) -> Result<HashSet<Id<F>>> {
        if among.is_empty() {
            return Ok(HashSet::new());
        }
        let sql = format!(
            "SELECT far_id FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction = $3 AND live = TRUE \
             AND far_id IN ({})",
            places(4, among.len())
        );
        let key = [near.into(), kind.into(), (direction as i16).into()];
        let values = key.into_iter().chain(among.iter().map(|id| Value::from(*id)));
        let rows = query(self.shards.reader(near.shard()), &sql, values).await?;
        rows.iter().map(|row| Ok(Id::from_raw(row.try_get_by_index(0)?))).collect()
    }

    async fn counts<N>(
        &self,
        kind: &str,
        direction: Direction,
        near: &[Id<N>],
    ) -> Result<HashMap<Id<N>, u64>> {
        let ids: Vec<i64> = near.iter().map(|id| id.raw()).collect();
        let counts = self.regions(kind)?.counts(direction).get_many(&ids).await?;
        let counts = counts.into_iter().map(|count| count.map_or(0, |count| *count));
        Ok(near.iter().copied().zip(counts).collect())
    }
}

pub(super) async fn links<N, F>(
    shards: &Shards,
    kind: &str,
    direction: Direction,
    near: Id<N>,
    page: EdgePage,
) -> Result<Vec<Link<F>>> {
    let sql = "SELECT far_id, version FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction = $3 \
               AND live = TRUE AND (version < $4 OR (version = $4 AND far_id < $5)) \
               ORDER BY version DESC, far_id DESC LIMIT $6";
    let (version, far) = page.after.unwrap_or((i64::MAX, i64::MAX));
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let values =
        [near.into(), kind.into(), (direction as i16).into(), version.into(), far.into(), limit.into()];
    let rows = query(shards.reader(near.shard()), sql, values).await?;
    let links = rows.iter().map(|row| {
        Ok(Link { id: Id::from_raw(row.try_get_by_index(0)?), version: row.try_get_by_index(1)? })
    });
    links.collect()
}

/// The counts that one database has of these ends: those of whom nothing was ever counted are left out.
pub(super) async fn counts_in<N>(
    database: &Database,
    kind: &str,
    direction: Direction,
    near: &[Id<N>],
) -> Result<Vec<(i64, u64)>> {
    let sql = format!(
        "SELECT near_id, count FROM tripod_edge_count WHERE kind = $1 AND direction = $2 AND near_id IN ({})",
        places(3, near.len())
    );
    let key = [kind.into(), (direction as i16).into()];
    let values = key.into_iter().chain(near.iter().map(|id| Value::from(*id)));
    let rows = query(database.reader(), &sql, values).await?;
    let counts = rows.iter().map(|row| {
        let count: i64 = row.try_get_by_index(1)?;
        let count = u64::try_from(count)
            .map_err(|_| Error::internal(format!("{count} edges named {kind:?} are counted somewhere")))?;
        Ok((row.try_get_by_index(0)?, count))
    });
    counts.collect()
}

/// `$first, ...`: the places of `count` values.
fn places(first: usize, count: usize) -> String {
    (first..first + count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

async fn query(
    reader: &Reader,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    Ok(reader.query_all_raw(statement(reader, sql, values)).await?)
}
