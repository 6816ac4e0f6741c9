//! Reads of edges: lists of neighbours, membership tests, and counts.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, ExprTrait, QueryResult, Value};

use super::table::Direction;
use super::{Edge, Graph};
use crate::access::Unchecked;
use crate::db::{Database, Reader, statement};
use crate::error::{Error, Result};
use crate::id::{Id, IdMap, IdSet};
use crate::shard::{Consistency, Keyset, List, Order, Position, Read, Sharded, Shards};

/// The position of an edge in a list of edges, which is ordered by when they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct EdgePosition {
    /// The edge's version, 64 bits like an id, which contains the millisecond at which it was made.
    pub version: i64,
    /// The raw id of the other end.
    pub id: i64,
}

impl Position for EdgePosition {
    fn numbers(self) -> Vec<i64> {
        vec![self.version, self.id]
    }

    fn from_numbers(numbers: &[i64]) -> Option<Self> {
        match numbers {
            [version, id] => Some(Self { version: *version, id: *id }),
            _ => None,
        }
    }
}

/// The far ends of edges, each with its edge's position in the list.
pub type Ends<T> = List<EdgePosition, Id<T>>;

impl Read {
    /// The ends of the edges that start at `from`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn targets<E: Edge>(
        &self,
        from: Id<E::From>,
        keyset: Keyset<EdgePosition>,
    ) -> Result<Ends<E::To>> {
        ends(self.shards(), E::NAME, Direction::Out, from, keyset).await
    }

    /// The ends of the edges that point to `to`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sources<E: Edge>(
        &self,
        to: Id<E::To>,
        keyset: Keyset<EdgePosition>,
    ) -> Result<Ends<E::From>> {
        ends(self.shards(), E::NAME, Direction::In, to, keyset).await
    }

    /// The rows that the edges from `from` point to. Deleted rows are left out.
    ///
    /// # Errors
    /// Those of the databases.
    pub async fn target_rows<E>(
        &self,
        from: Id<E::From>,
        keyset: Keyset<EdgePosition>,
    ) -> Result<List<EdgePosition, Unchecked<<E::To as sea_orm::EntityTrait>::Model>>>
    where
        E: Edge,
    {
        let ends = self.targets::<E>(from, keyset).await?;
        self.rows_of(ends).await
    }

    /// The rows whose edges point to `to`. Deleted rows are left out.
    ///
    /// # Errors
    /// Those of the databases.
    pub async fn source_rows<E>(
        &self,
        to: Id<E::To>,
        keyset: Keyset<EdgePosition>,
    ) -> Result<List<EdgePosition, Unchecked<<E::From as sea_orm::EntityTrait>::Model>>>
    where
        E: Edge,
    {
        let ends = self.sources::<E>(to, keyset).await?;
        self.rows_of(ends).await
    }

    async fn rows_of<T: Sharded>(&self, ends: Ends<T>) -> Result<List<EdgePosition, Unchecked<T::Model>>> {
        let ids: Vec<Id<T>> = ends.items.iter().map(|(_, id)| *id).collect();
        let rows = self.find_many(&ids).await?;
        let mut rows: IdMap<T, Unchecked<T::Model>> =
            rows.into_iter().map(|row| (T::id(row.peek()), row)).collect();
        let items = ends.items.into_iter().filter_map(|(place, id)| Some((place, rows.remove(&id)?)));
        Ok(List { items: items.collect(), next: ends.next })
    }

    /// Which of `among` have an edge from `from`. None if `from` is `None`, as for a viewer who is not
    /// signed in.
    ///
    /// # Errors
    /// Those of the database; see [`Completeness`](crate::shard::Completeness).
    pub async fn targets_among<E: Edge>(
        &self,
        from: impl Into<Option<Id<E::From>>>,
        among: &[Id<E::To>],
    ) -> Result<IdSet<E::To>> {
        self.among(E::NAME, Direction::Out, from.into(), among).await
    }

    /// Which of `among` have an edge to `to`. None if `to` is `None`.
    ///
    /// # Errors
    /// As [`Self::targets_among`].
    pub async fn sources_among<E: Edge>(
        &self,
        to: impl Into<Option<Id<E::To>>>,
        among: &[Id<E::From>],
    ) -> Result<IdSet<E::From>> {
        self.among(E::NAME, Direction::In, to.into(), among).await
    }

    async fn among<N, F>(
        &self,
        kind: &str,
        direction: Direction,
        near: Option<Id<N>>,
        among: &[Id<F>],
    ) -> Result<IdSet<F>> {
        let Some(near) = near.filter(|_| !among.is_empty()) else { return Ok(IdSet::default()) };
        let (mut ends, mut unknown) = (IdSet::default(), among.to_vec());
        if self.consistency() == Consistency::Cached
            && let Some(cached) = Graph::of(self.shards())?.regions(kind)?.neighbours(direction)
        {
            let neighbours = self.or_without(cached.get(near.raw()).await)?.flatten();
            let known = |id: &Id<F>| neighbours.as_ref().and_then(|listed| listed.contains(id.raw()));
            ends.extend(among.iter().filter(|id| known(id) == Some(true)));
            unknown.retain(|id| known(id).is_none());
        }
        let found = ends_among(self.shards(), kind, direction, near, &unknown).await;
        ends.extend(self.or_without(found)?.into_iter().flatten());
        Ok(ends)
    }

    /// The number of edges that start at each of these rows. A read of what is
    /// [`available`](Self::available) leaves out the counts of a database that is down.
    ///
    /// # Errors
    /// Those of the databases.
    pub async fn target_counts<E: Edge>(&self, from: &[Id<E::From>]) -> Result<IdMap<E::From, u64>> {
        self.counts(E::NAME, Direction::Out, from).await
    }

    /// The number of edges that point to each of these rows; see [`Self::target_counts`].
    ///
    /// # Errors
    /// Those of the databases.
    pub async fn source_counts<E: Edge>(&self, to: &[Id<E::To>]) -> Result<IdMap<E::To, u64>> {
        self.counts(E::NAME, Direction::In, to).await
    }

    async fn counts<N>(&self, kind: &str, direction: Direction, near: &[Id<N>]) -> Result<IdMap<N, u64>> {
        if near.is_empty() {
            return Ok(IdMap::default());
        }
        if self.consistency() == Consistency::Cached {
            let graph = Graph::of(self.shards())?;
            let ids: Vec<i64> = near.iter().map(|id| id.raw()).collect();
            let counts = graph.regions(kind)?.counts(direction).get_each(&ids).await;
            let counts = near
                .iter()
                .zip(counts)
                .map(|(id, count)| count.map(|count| (*id, count.map_or(0, |count| *count))));
            return Ok(self.answered(counts.collect())?.into_iter().collect());
        }
        let queries = self.shards().by_database(near).into_iter().map(async |(database, ids)| {
            let counted: HashMap<i64, u64> =
                counts_in(database, kind, direction, &ids).await?.into_iter().collect();
            // A row without a count was never counted: its count is 0.
            let counts = ids.into_iter().map(|id| (id, counted.get(&id.raw()).copied().unwrap_or_default()));
            Ok::<_, Error>(counts.collect::<Vec<_>>())
        });
        let counts = self.answered(futures::future::join_all(queries).await)?;
        Ok(counts.into_iter().flatten().collect())
    }

    /// The answer of one database; `None` if it is down and the read is of what is available.
    fn or_without<T>(&self, answer: Result<T>) -> Result<Option<T>> {
        match answer {
            Err(error)
                if error.is_unavailable() && self.completeness() == crate::shard::Completeness::Available =>
            {
                tracing::warn!(
                    error = error.chain(),
                    "an answer leaves out edges of a database that does not answer"
                );
                Ok(None)
            }
            answer => answer.map(Some),
        }
    }
}

impl Graph {
    /// The sources of the edges with this name that point to `to`, for jobs.
    pub(crate) async fn sources_named(
        &self,
        kind: &str,
        to: i64,
        keyset: Keyset<EdgePosition>,
    ) -> Result<Ends<()>> {
        ends(self.shards(), kind, Direction::In, Id::<()>::from_raw(to), keyset).await
    }

    /// [`Read::sources_among`] for an edge given by its name, for jobs.
    pub(crate) async fn sources_among_named(
        &self,
        kind: &str,
        to: i64,
        among: &[Id<()>],
    ) -> Result<IdSet<()>> {
        ends_among(self.shards(), kind, Direction::In, Id::<()>::from_raw(to), among).await
    }

    /// The sources whose edges with this name to `to` were removed by a change later than `version`.
    pub(crate) async fn sources_gone_named(&self, kind: &str, to: i64, version: i64) -> Result<Vec<i64>> {
        let to = Id::<()>::from_raw(to);
        let sql = "SELECT far_id FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction = $3 \
                   AND live = FALSE AND version > $4";
        let values = [to.into(), kind.into(), (Direction::In as i16).into(), version.into()];
        let rows = query(self.shards().reader(to.shard()), sql, values).await?;
        rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }

    /// The number of edges with this name that point to `to`, for jobs.
    pub(crate) async fn source_count_named(&self, kind: &str, to: i64) -> Result<u64> {
        let to = Id::<()>::from_raw(to);
        let counted = counts_in(self.shards().database(to.shard()), kind, Direction::In, &[to]).await?;
        Ok(counted.first().map_or(0, |(_, count)| *count))
    }

    /// Some of the edges at this row, of any kind, live or removed: kind, direction and far end.
    pub(super) async fn ends_at(
        &self,
        row: Id<()>,
        live: bool,
        limit: u64,
    ) -> Result<Vec<(String, Direction, i64)>> {
        let sql = "SELECT kind, direction, far_id FROM tripod_edge WHERE near_id = $1 AND live = $2 LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [row.into(), live.into(), limit.into()];
        let rows = query(self.shards().reader(row.shard()), sql, values).await?;
        let edges = rows.iter().map(|edge| {
            let (kind, direction, far): (String, i16, i64) =
                (edge.try_get_by_index(0)?, edge.try_get_by_index(1)?, edge.try_get_by_index(2)?);
            Ok((kind, Direction::of(direction), far))
        });
        edges.collect()
    }
}

pub(super) async fn ends<N, F>(
    shards: &Shards,
    kind: &str,
    direction: Direction,
    near: Id<N>,
    keyset: Keyset<EdgePosition>,
) -> Result<Ends<F>> {
    let (past, order) = match keyset.order {
        Order::NewestFirst => ("<", "DESC"),
        Order::OldestFirst => (">", "ASC"),
    };
    let sql = format!(
        "SELECT far_id, version FROM tripod_edge WHERE near_id = $1 AND kind = $2 AND direction = $3 \
         AND live = TRUE AND (version, far_id) {past} ($4, $5) \
         ORDER BY version {order}, far_id {order} LIMIT $6"
    );
    let beginning = match keyset.order {
        Order::NewestFirst => EdgePosition { version: i64::MAX, id: i64::MAX },
        Order::OldestFirst => EdgePosition { version: -1, id: -1 },
    };
    let EdgePosition { version, id } = keyset.after.unwrap_or(beginning);
    let limit = i64::try_from(keyset.limit).unwrap_or(i64::MAX);
    let values =
        [near.into(), kind.into(), (direction as i16).into(), version.into(), id.into(), limit.into()];
    let rows = query(shards.reader(near.shard()), &sql, values).await?;
    let ends = rows.iter().map(|row| {
        let (id, version) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        Ok((EdgePosition { version, id }, Id::from_raw(id)))
    });
    Ok(List::new(ends.collect::<Result<_>>()?, keyset.limit))
}

async fn ends_among<N, F>(
    shards: &Shards,
    kind: &str,
    direction: Direction,
    near: Id<N>,
    among: &[Id<F>],
) -> Result<IdSet<F>> {
    if among.is_empty() {
        return Ok(IdSet::default());
    }
    let found = Query::select()
        .column("far_id")
        .from("tripod_edge")
        .and_where(Expr::col("near_id").eq(near))
        .and_where(Expr::col("kind").eq(kind))
        .and_where(Expr::col("direction").eq(direction as i16))
        .and_where(Expr::col("live").eq(true))
        .and_where(Expr::col("far_id").is_in(among.iter().copied()))
        .take();
    let rows = shards.reader(near.shard()).query_all(&found).await?;
    rows.iter().map(|row| Ok(Id::from_raw(row.try_get_by_index(0)?))).collect()
}

/// The counts that one database has for these ends; ends that were never counted are left out.
pub(super) async fn counts_in<N>(
    database: &Database,
    kind: &str,
    direction: Direction,
    near: &[Id<N>],
) -> Result<Vec<(i64, u64)>> {
    let counted = Query::select()
        .columns(["near_id", "count"])
        .from("tripod_edge_count")
        .and_where(Expr::col("kind").eq(kind))
        .and_where(Expr::col("direction").eq(direction as i16))
        .and_where(Expr::col("near_id").is_in(near.iter().copied()))
        .take();
    let rows = database.reader().query_all(&counted).await?;
    let counts = rows.iter().map(|row| {
        let count: i64 = row.try_get_by_index(1)?;
        let count = u64::try_from(count)
            .map_err(|_| Error::internal(format!("{count} edges named {kind:?} are counted somewhere")))?;
        Ok((row.try_get_by_index(0)?, count))
    });
    counts.collect()
}

async fn query(
    reader: &Reader,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    Ok(reader.query_all_raw(statement(reader, sql, values)).await?)
}
