//! The audit of the edges: whether each count equals its edges, and each edge has its other end and its rows.
//!
//! It reads while others write. A count and its edges change in one transaction, so one statement sees both as
//! they are. The two ends of an edge change in two, so a difference counts only if no job is to settle it and
//! the forward edge stays as it is meanwhile. Repairs lock what they change, as every writer does.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::Graph;
use super::edge::{EdgeKind, INVERSE_GRACE};
use super::inverse::WriteInverse;
use super::remove::RemoveEdges;
use super::table::{self, Direction, End, read_key};
use crate::db::{Cell, Database, Rows, statement};
use crate::error::Result;
use crate::id::{Id, shard_of_id_sql};

/// Edges or counts that are read at once.
const PAGE: u64 = 500;
/// Examples kept of each fault.
const EXAMPLES: usize = 5;

/// A fault that an audit finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeFault {
    /// A count differs from the number of edges.
    Count,
    /// A forward edge has no inverse edge.
    NoInverse,
    /// An inverse edge has no forward edge.
    NoForward,
    /// There is no row at one of the ends.
    NoRow,
}

impl fmt::Display for EdgeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "counts that differ from the edges",
            Self::NoInverse => "forward edges without an inverse",
            Self::NoForward => "inverse edges without a forward edge",
            Self::NoRow => "edges at a row that does not exist",
        })
    }
}

/// The occurrences of a fault in one kind of edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundFaults {
    /// How many there are.
    pub count: u64,
    /// How many of them were repaired.
    pub repaired: u64,
    /// Sentences about the first of them.
    pub examples: Vec<String>,
}

/// What an audit of the edges has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeAudit {
    /// The counts that were checked.
    pub counts: u64,
    /// The live edges that were checked, at each of their ends.
    pub edges: u64,
    /// The faults, by kind of edge.
    pub faults: BTreeMap<(String, EdgeFault), FoundFaults>,
}

impl EdgeAudit {
    /// Whether every fault that was found is repaired.
    pub fn is_clean(&self) -> bool {
        self.faults.values().all(|found| found.repaired == found.count)
    }

    fn add(&mut self, kind: &str, fault: EdgeFault, example: String, is_repaired: bool) {
        let found = self.faults.entry((kind.to_owned(), fault)).or_default();
        found.count += 1;
        found.repaired += u64::from(is_repaired);
        if found.examples.len() < EXAMPLES {
            found.examples.push(example);
        }
    }
}

/// A live edge, at one of its ends.
struct Live {
    end: End,
    is_counted: bool,
}

/// The audit of one graph, in progress.
struct Audit<'a> {
    graph: &'a Graph,
    repairs: bool,
    progress: &'a (dyn Fn(u64) + Sync),
    found: EdgeAudit,
}

impl Graph {
    /// The number of counts and of edges' ends that an audit reads.
    ///
    /// # Errors
    /// Any database error.
    pub(crate) async fn audit_size(&self) -> Result<u64> {
        let mut size = 0;
        for database in self.shards().databases() {
            for table in ["tripod_edge", "tripod_edge_count"] {
                let sql = format!("SELECT CAST(COUNT(*) AS BIGINT) FROM {table}");
                let reader = database.reader();
                let row = reader.query_one_raw(statement(reader, &sql, [])).await?;
                let rows: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
                size += rows.unwrap_or_default().unsigned_abs();
            }
        }
        Ok(size)
    }

    /// Checks every edge and every count of every database, and repairs what is wrong if `repairs`. `progress`
    /// is called with the number of rows read since the last call.
    ///
    /// # Errors
    /// Any database error, also that a database does not answer: its edges could not be compared.
    pub(crate) async fn audit(&self, repairs: bool, progress: &(dyn Fn(u64) + Sync)) -> Result<EdgeAudit> {
        let mut audit = Audit { graph: self, repairs, progress, found: EdgeAudit::default() };
        for database in self.shards().databases() {
            audit.edges(database).await?;
        }
        // Afterwards, because the repair of an edge corrects its count by one.
        for database in self.shards().databases() {
            audit.counts(database).await?;
        }
        Ok(audit.found)
    }
}

impl Audit<'_> {
    /// Goes over the live edges at the ends that a database holds.
    async fn edges(&mut self, database: &Database) -> Result<()> {
        let active = active("e.near_id");
        let sql = format!(
            "SELECT e.near_id, e.kind, e.direction, e.far_id, CASE WHEN c.count IS NULL THEN 0 ELSE 1 END \
             FROM tripod_edge AS e LEFT JOIN tripod_edge_count AS c \
             ON c.near_id = e.near_id AND c.kind = e.kind AND c.direction = e.direction \
             WHERE (e.near_id, e.kind, e.direction, e.far_id) > ($1, $2, $3, $4) AND e.live = TRUE AND {active} \
             ORDER BY e.near_id, e.kind, e.direction, e.far_id LIMIT {PAGE}"
        );
        let mut after: [Value; 4] = [i64::MIN.into(), "".into(), 0_i16.into(), i64::MIN.into()];
        loop {
            let rows = query(database, &sql, after.clone()).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let (near, kind, direction, far) = read_key(last)?;
            after = [near.into(), kind.into(), direction.into(), far.into()];
            let mut page = Vec::new();
            for row in &rows {
                let ((near, kind, direction, far), is_counted) =
                    (read_key(row)?, row.try_get_by_index::<i32>(4)?);
                // Kinds that this version does not have are left alone.
                let Ok(EdgeKind { name: kind, .. }) = self.graph.kind(&kind) else { continue };
                let direction = Direction::of(direction);
                page.push(Live { end: End { near, kind, direction, far }, is_counted: is_counted == 1 });
            }
            self.found.edges += rows.len() as u64;
            self.page(database, &page).await?;
            (self.progress)(rows.len() as u64);
        }
    }

    async fn page(&mut self, database: &Database, page: &[Live]) -> Result<()> {
        let gone = self.without_row(database, page).await?;
        let others = self.live_others(page).await?;
        let mut done = HashSet::new();
        for Live { end, is_counted } in page {
            let place = (end.kind, end.near);
            if !is_counted && done.insert((place, end.direction as i16)) {
                self.count(*end, 0).await?;
            }
            if gone.contains(&place) {
                if done.insert((place, -1)) {
                    self.no_row(*end).await?;
                }
            } else if !others.contains(&(end.kind, end.ends())) {
                self.pair(*end).await?;
            }
        }
        Ok(())
    }

    /// The near ends of this page without a row, each with its kind.
    async fn without_row(&self, database: &Database, page: &[Live]) -> Result<HashSet<(&'static str, i64)>> {
        let mut ends: HashMap<(&'static str, Direction), HashSet<i64>> = HashMap::new();
        for Live { end, .. } in page {
            ends.entry((end.kind, end.direction)).or_default().insert(end.near);
        }
        let mut gone = HashSet::new();
        for ((kind, direction), ids) in ends {
            let EdgeKind { from, to, .. } = self.graph.kind(kind)?;
            let rows = if direction == Direction::Out { from } else { to };
            let wanted = ids.iter().map(|id| [Cell::Integer(*id)]).collect();
            let (wanted, values) =
                Rows { columns: [("id", "bigint")], rows: wanted }.table(database.backend(), 1);
            let sql = format!(
                "SELECT r.id FROM {wanted} WHERE NOT EXISTS (SELECT 1 FROM \"{}\" AS t WHERE t.\"{}\" = r.id)",
                rows.name, rows.id
            );
            for row in query(database, &sql, values).await? {
                gone.insert((kind, row.try_get_by_index(0)?));
            }
        }
        Ok(gone)
    }

    /// Those edges of this page whose other end is live, too.
    async fn live_others(&self, page: &[Live]) -> Result<HashSet<(&'static str, (i64, i64))>> {
        let mut by_database: BTreeMap<usize, Vec<End>> = BTreeMap::new();
        for Live { end, .. } in page {
            let database = self.graph.shards().database_index(Id::<()>::from_raw(end.far).shard());
            by_database.entry(database).or_default().push(end.other());
        }
        let mut live = HashSet::new();
        for (database, ends) in by_database {
            let database = &self.graph.shards().databases()[database];
            let columns =
                [("near_id", "bigint"), ("kind", "text"), ("direction", "smallint"), ("far_id", "bigint")];
            let rows = ends.iter().map(|end| {
                let direction = Cell::Integer((end.direction as i16).into());
                [Cell::Integer(end.near), Cell::Text(end.kind.to_owned()), direction, Cell::Integer(end.far)]
            });
            let (wanted, values) = Rows { columns, rows: rows.collect() }.table(database.backend(), 1);
            let sql = format!(
                "SELECT e.near_id, e.kind, e.direction, e.far_id FROM {wanted} JOIN tripod_edge AS e \
                 ON e.near_id = r.near_id AND e.kind = r.kind AND e.direction = r.direction \
                 AND e.far_id = r.far_id WHERE e.live = TRUE"
            );
            for row in query(database, &sql, values).await? {
                let (near, kind, direction, far) = read_key(&row)?;
                let kind = self.graph.kind(&kind)?.name;
                live.insert((
                    kind,
                    if direction == Direction::Out as i16 { (near, far) } else { (far, near) },
                ));
            }
        }
        Ok(live)
    }

    /// Goes over the counts that a database holds.
    async fn counts(&mut self, database: &Database) -> Result<()> {
        let active = active("c.near_id");
        // One statement, so that a count and its edges are of one moment.
        let sql = format!(
            "SELECT c.near_id, c.kind, c.direction, c.count, (SELECT CAST(COUNT(*) AS BIGINT) FROM tripod_edge AS e \
               WHERE e.near_id = c.near_id AND e.kind = c.kind AND e.direction = c.direction AND e.live = TRUE) \
             FROM tripod_edge_count AS c WHERE (c.near_id, c.kind, c.direction) > ($1, $2, $3) AND {active} \
             ORDER BY c.near_id, c.kind, c.direction LIMIT {PAGE}"
        );
        let mut after: [Value; 3] = [i64::MIN.into(), "".into(), 0_i16.into()];
        loop {
            let rows = query(database, &sql, after.clone()).await?;
            for row in &rows {
                let (near, kind, direction): (i64, String, i16) =
                    (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
                let (count, edges): (i64, i64) = (row.try_get_by_index(3)?, row.try_get_by_index(4)?);
                after = [near.into(), kind.as_str().into(), direction.into()];
                let Ok(EdgeKind { name: kind, .. }) = self.graph.kind(&kind) else { continue };
                if count != edges {
                    let direction = Direction::of(direction);
                    self.count(End { near, kind, direction, far: 0 }, count).await?;
                }
            }
            if rows.is_empty() {
                return Ok(());
            }
            self.found.counts += rows.len() as u64;
            (self.progress)(rows.len() as u64);
        }
    }

    /// A count that differs from the edges.
    async fn count(&mut self, end: End, count: i64) -> Result<()> {
        if self.repairs {
            let graph = self.graph.clone();
            let repaired = self.graph.shards().write(Id::<()>::from_raw(end.near), move |tx| async move {
                table::recount(&tx, end).await?;
                graph.end_changes(&tx, end)
            });
            repaired.await?;
        }
        let side = if end.direction == Direction::Out { "from" } else { "to" };
        let example = format!("{} edges {side} {} are counted, which is wrong", count, end.near);
        self.found.add(end.kind, EdgeFault::Count, example, self.repairs);
        Ok(())
    }

    /// Edges at a row that does not exist: those of a row that is being deleted have their job.
    async fn no_row(&mut self, end: End) -> Result<()> {
        let row = Id::<()>::from_raw(end.near);
        if self.is_being_removed(end.near).await? || !self.find(end).await?.is_some_and(|(_, live)| live) {
            return Ok(());
        }
        let (from, to) = end.ends();
        let mut example = format!("there is no row {}, and an edge from {from} to {to}", end.near);
        let mut is_repaired = self.repairs;
        if self.repairs
            && let Err(error) = self.graph.remove_all_edges(row).await
        {
            is_repaired = false;
            example.push_str(&format!(": {error}"));
        }
        self.found.add(end.kind, EdgeFault::NoRow, example, is_repaired);
        Ok(())
    }

    /// An edge that was live at one end and not at the other.
    async fn pair(&mut self, end: End) -> Result<()> {
        let near = if end.direction == Direction::Out { end } else { end.other() };
        let forward = self.find(near).await?;
        let waiting = format!("{{\"kind\":\"{}\",\"from\":{},\"to\":{},%", near.kind, near.near, near.far);
        let home = Id::<()>::from_raw(near.near).shard();
        if self.graph.queue().is_waiting::<WriteInverse>(home, &waiting).await?
            || self.is_being_removed(near.near).await?
            || self.is_being_removed(near.far).await?
        {
            return Ok(());
        }
        let inverse = self.find(near.other()).await?;
        let is_live = |found: Option<(i64, bool)>| found.is_some_and(|(_, live)| live);
        if is_live(forward) == is_live(inverse) || self.find(near).await? != forward {
            return Ok(());
        }
        if self.repairs {
            match (forward, inverse) {
                (Some((version, _)), _) => self.write_other_end(near, version).await?,
                (None, Some((version, _))) => self.drop_inverse(near.other(), version).await?,
                (None, None) => {}
            }
        }
        let fault = if is_live(forward) { EdgeFault::NoInverse } else { EdgeFault::NoForward };
        let example = format!("the edge from {} to {}", near.near, near.far);
        self.found.add(near.kind, fault, example, self.repairs);
        Ok(())
    }

    /// Gives a forward edge a new version, which its inverse then takes over.
    async fn write_other_end(&self, near: End, version: i64) -> Result<()> {
        let (graph, inverse) = (self.graph.clone(), self.find(near.other()).await?);
        let renewed = self.graph.shards().write(Id::<()>::from_raw(near.near), move |tx| async move {
            let least = inverse.map_or(0, |(version, _)| version).max(tx.generate_id::<()>()?.raw());
            let Some((version, live)) = table::renew(&tx, near, version, least).await? else {
                return Ok(None);
            };
            let job =
                WriteInverse { kind: near.kind.to_owned(), from: near.near, to: near.far, version, live };
            let queued = tx.enqueue_after(job.clone(), INVERSE_GRACE).await?;
            Ok(Some((job, queued)))
        });
        // If the edge has changed meanwhile, that change writes the other end.
        if let Some((job, queued)) = renewed.await? {
            graph.follow_up(job, queued, false).await;
        }
        Ok(())
    }

    async fn drop_inverse(&self, far: End, version: i64) -> Result<()> {
        let graph = self.graph.clone();
        let dropped = self.graph.shards().write(Id::<()>::from_raw(far.near), move |tx| async move {
            if table::forget_version(&tx, far, version).await? {
                graph.end_changes(&tx, far)?;
            }
            Ok(())
        });
        dropped.await
    }

    async fn find(&self, end: End) -> Result<Option<(i64, bool)>> {
        table::find(self.graph.shards().reader(Id::<()>::from_raw(end.near).shard()), end).await
    }

    async fn is_being_removed(&self, row: i64) -> Result<bool> {
        let shard = Id::<()>::from_raw(row).shard();
        self.graph.queue().is_waiting::<RemoveEdges>(shard, &format!("{{\"row\":{row}}}")).await
    }
}

/// Whether the database holds the shard of the id in this column: a move may leave rows behind.
fn active(column: &str) -> String {
    format!("{} IN (SELECT shard FROM tripod_shard WHERE state = 'active')", shard_of_id_sql(column))
}

async fn query(
    database: &Database,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<Vec<QueryResult>> {
    Ok(database.reader().query_all_raw(statement(database.reader(), sql, values)).await?)
}
