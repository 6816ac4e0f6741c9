//! Changes of many edges in one transaction, each statement about all of them.
//!
//! Every statement locks what it changes in the order of the keys, and the statements follow each other in one
//! order, so that no two batches wait for each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::ConnectionTrait;

use super::Graph;
use super::combine::{Change, Changed, Outcome};
use super::edge::{INVERSE_GRACE, absent};
use super::inverse::WriteInverse;
use super::table::{Direction, End, read_key};
use crate::db::{Cell, Rows, statement};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::queue::JobId;
use crate::shard::{RowTable, Tx};

const KEY: &str = "near_id, kind, direction, far_id";
const SAME_KEY: &str =
    "e.near_id = r.near_id AND e.kind = r.kind AND e.direction = r.direction AND e.far_id = r.far_id";

/// What an edge's row is to become.
#[derive(Clone, Copy)]
struct Row {
    end: End,
    version: i64,
    live: bool,
    /// Whether to insert the row if there is none.
    inserts: bool,
}

/// What was in an edge's row, which is now locked.
#[derive(Clone, Copy)]
enum Before {
    /// There is no row, and none was wanted.
    Nothing,
    /// There was no row; now there is one, with this version.
    Inserted {
        version: i64,
    },
    Was {
        version: i64,
        live: bool,
    },
}

/// The changes of one transaction, as they take shape.
struct Batch<'b> {
    graph: &'b Graph,
    /// The transaction, for each of its shards.
    txs: &'b BTreeMap<Shard, Tx>,
    tx: &'b Tx,
    outcomes: Vec<Option<Result<Outcome>>>,
    /// Rows that exist and have to be rewritten.
    updates: Vec<Row>,
    /// By how much each count changes: by near end, kind and direction.
    counts: BTreeMap<(i64, &'static str, i16), i64>,
    /// The ends whose cached values change.
    ends: BTreeSet<(i64, &'static str, bool)>,
}

/// Applies the changes, and returns the outcome of each. An error undoes them all.
pub(super) async fn apply(
    graph: &Graph,
    txs: &BTreeMap<Shard, Tx>,
    changes: &[Change],
) -> Result<Vec<Result<Outcome>>> {
    let Some(tx) = txs.values().next() else { return Ok(changes.iter().map(|_| Err(moved())).collect()) };
    let mut batch = Batch {
        graph,
        txs,
        tx,
        outcomes: changes.iter().map(|_| None).collect(),
        updates: Vec::new(),
        counts: BTreeMap::new(),
        ends: BTreeSet::new(),
    };
    batch.check(changes).await?;
    let changed = batch.write_edges(changes).await?;
    let jobs = batch.enqueue(&changed).await?;
    batch.update().await?;
    batch.count().await?;
    batch.cancel(changes).await?;
    for (forward, job) in changed.into_iter().zip(jobs) {
        let Forward { item, change, is_here } = forward;
        let changed = Changed { change, job, is_inverse_written: is_here };
        batch.outcomes[item].get_or_insert(Ok(Outcome::Changed(changed)));
    }
    for (near, kind, is_out) in &batch.ends {
        let direction = if *is_out { Direction::Out } else { Direction::In };
        for changed in graph.regions(kind)?.changed(direction, *near) {
            tx.changes(changed);
        }
    }
    Ok(batch.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Ok(Outcome::Unchanged))).collect())
}

/// A forward edge that has changed.
struct Forward {
    item: usize,
    change: WriteInverse,
    /// Whether the inverse is on a shard of this transaction.
    is_here: bool,
}

impl Batch<'_> {
    /// Whether the far end is on a shard that this transaction may write.
    fn is_here(&self, id: i64) -> bool {
        self.txs.contains_key(&Shard::of_id(id))
    }

    /// Decides about the changes whose shard has moved or one of whose ends is missing, and holds all other
    /// ends.
    async fn check(&mut self, changes: &[Change]) -> Result<()> {
        let mut wanted: BTreeMap<RowTable, BTreeSet<i64>> = BTreeMap::new();
        let mut want = |rows: RowTable, id: i64| wanted.entry(rows).or_default().insert(id);
        for (item, change) in changes.iter().enumerate() {
            if !self.is_here(change.shard_id()) {
                self.outcomes[item] = Some(Err(moved()));
                continue;
            }
            match change {
                Change::Forward { near, live } => {
                    let kind = self.graph.kind(near.kind)?;
                    if *live {
                        want(kind.from, near.near);
                    }
                    if self.is_here(near.far) {
                        want(kind.to, near.far);
                    }
                }
                Change::Inverse { begun: Some(begun), .. } if begun.elapsed() >= INVERSE_GRACE => {
                    self.outcomes[item] = Some(Err(Error::unavailable("an inverse edge took too long")));
                }
                Change::Inverse { far, .. } => {
                    want(self.graph.kind(far.kind)?.to, far.near);
                }
                Change::Cancel(_) => {}
            }
        }
        let held = self.tx.hold_each(wanted).await?;
        for (item, change) in changes.iter().enumerate() {
            if self.outcomes[item].is_some() {
                continue;
            }
            let outcome = match change {
                Change::Forward { near, live } => {
                    let kind = self.graph.kind(near.kind)?;
                    let to_is_gone = self.is_here(near.far) && !held.contains(&(kind.to, near.far));
                    match live {
                        true if !held.contains(&(kind.from, near.near)) => Some(Err(absent(kind.from))),
                        true if to_is_gone => Some(Err(absent(kind.to))),
                        false if to_is_gone => Some(Ok(Outcome::Alone)),
                        _ => None,
                    }
                }
                Change::Inverse { far, .. } => {
                    let to = (self.graph.kind(far.kind)?.to, far.near);
                    (!held.contains(&to)).then_some(Ok(Outcome::Alone))
                }
                Change::Cancel(_) => None,
            };
            self.outcomes[item] = outcome;
        }
        Ok(())
    }

    /// Changes the forward edges, and the inverse edges that are here; returns the forward edges that were not
    /// yet as wanted.
    async fn write_edges(&mut self, changes: &[Change]) -> Result<Vec<Forward>> {
        let (mut rows, mut forward, mut inverse) = (Vec::new(), Vec::new(), Vec::new());
        for (item, change) in changes.iter().enumerate().filter(|(item, _)| self.outcomes[*item].is_none()) {
            match change {
                Change::Forward { near, live } => {
                    let version = self.graph.shards().generate_id::<()>(Shard::of_id(near.near))?.raw();
                    forward.push((item, rows.len()));
                    rows.push(Row { end: *near, version, live: *live, inserts: *live });
                    if self.is_here(near.far) {
                        rows.push(Row { end: near.other(), version, live: *live, inserts: *live });
                    }
                }
                Change::Inverse { far, live, version, .. } => {
                    inverse.push(rows.len());
                    rows.push(Row { end: *far, version: *version, live: *live, inserts: true });
                }
                Change::Cancel(_) => {}
            }
        }
        // All in one statement, and so in one order.
        let before = claim(self.tx, &rows).await?;
        let mut inverse: Vec<_> = inverse.into_iter().map(|at| (rows[at], before[at])).collect();
        let mut changed = Vec::new();
        for (item, at) in forward {
            let Row { end, version, live, .. } = rows[at];
            let is_here = self.is_here(end.far);
            let version = match before[at] {
                Before::Nothing => continue,
                Before::Inserted { version } => version,
                Before::Was { version: current, live: was_live } => {
                    if was_live == live && (!is_here || !matches!(before[at + 1], Before::Inserted { .. })) {
                        continue;
                    }
                    let version = version.max(current + 1);
                    self.updates.push(Row { version, ..rows[at] });
                    version
                }
            };
            if is_here {
                inverse.push((Row { version, ..rows[at + 1] }, before[at + 1]));
            }
            if matches!(before[at], Before::Was { live: was_live, .. } if was_live == live) {
                // Its inverse edge was missing.
                continue;
            }
            self.counts_change(end, live);
            let change =
                WriteInverse { kind: end.kind.to_owned(), from: end.near, to: end.far, version, live };
            changed.push(Forward { item, change, is_here });
        }
        self.write_inverse(inverse).await?;
        Ok(changed)
    }

    /// Enqueues the jobs of inverse edges that are elsewhere, and of edges with hooks; one that needs no job
    /// has none.
    async fn enqueue(&self, changed: &[Forward]) -> Result<Vec<Option<JobId>>> {
        let needs_job = |forward: &Forward| !forward.is_here || self.graph.has_hooks(&forward.change.kind);
        let mut jobs = Vec::new();
        for forward in changed.iter().filter(|forward| needs_job(forward)) {
            let home = self.txs.get(&Shard::of_id(forward.change.from)).ok_or_else(moved)?;
            jobs.push((home.clone(), forward.change.clone()));
        }
        let mut ids = self.graph.queue().enqueue_each(&jobs, INVERSE_GRACE).await?.into_iter();
        Ok(changed.iter().map(|forward| if needs_job(forward) { ids.next() } else { None }).collect())
    }

    /// Brings inverse edges to their versions, given what was in their rows.
    async fn write_inverse(&mut self, mut rows: Vec<(Row, Before)>) -> Result<()> {
        // Those of edges that are removed are kept, so that an older version is known to be older.
        let missing: Vec<usize> =
            (0..rows.len()).filter(|at| matches!(rows[*at].1, Before::Nothing)).collect();
        let inserted: Vec<Row> = missing.iter().map(|at| Row { inserts: true, ..rows[*at].0 }).collect();
        for (at, before) in missing.into_iter().zip(claim(self.tx, &inserted).await?) {
            rows[at].1 = before;
        }
        for (row, before) in rows {
            let was_live = match before {
                Before::Nothing => return Err(Error::conflict("an edge was forgotten while it was changed")),
                Before::Inserted { version } => {
                    if version != row.version {
                        self.updates.push(row);
                    }
                    false
                }
                Before::Was { version, .. } if version >= row.version => continue,
                Before::Was { live, .. } => {
                    self.updates.push(row);
                    live
                }
            };
            if was_live != row.live {
                self.counts_change(row.end, row.live);
            }
        }
        Ok(())
    }

    fn counts_change(&mut self, end: End, live: bool) {
        let is_out = end.direction == Direction::Out;
        *self.counts.entry((end.near, end.kind, end.direction as i16)).or_default() +=
            if live { 1 } else { -1 };
        self.ends.insert((end.near, end.kind, is_out));
    }

    async fn update(&self) -> Result<()> {
        if self.updates.is_empty() {
            return Ok(());
        }
        let (rows, values) = table(&self.updates, self.tx);
        let sql = format!(
            "UPDATE tripod_edge AS e SET version = r.version, live = r.live FROM {rows} WHERE {SAME_KEY}"
        );
        self.tx.execute(&sql, values).await.map(drop)
    }

    async fn count(&self) -> Result<()> {
        let steps = self.counts.iter().filter(|(_, step)| **step != 0);
        let rows: Vec<_> = steps
            .map(|((near, kind, direction), step)| {
                let (kind, direction) = (Cell::Text((*kind).to_owned()), Cell::Integer((*direction).into()));
                [Cell::Integer(*near), kind, direction, Cell::Integer(*step)]
            })
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let columns =
            [("near_id", "bigint"), ("kind", "text"), ("direction", "smallint"), ("step", "bigint")];
        let (rows, values) = Rows { columns, rows }.table(self.tx.connection().get_database_backend(), 1);
        let sql = format!(
            "INSERT INTO tripod_edge_count (near_id, kind, direction, count) \
             SELECT r.near_id, r.kind, r.direction, r.step FROM {rows} WHERE TRUE \
             ORDER BY r.near_id, r.kind, r.direction \
             ON CONFLICT (near_id, kind, direction) DO UPDATE SET count = tripod_edge_count.count + excluded.count"
        );
        self.tx.execute(&sql, values).await.map(drop)
    }

    async fn cancel(&self, changes: &[Change]) -> Result<()> {
        let jobs = changes.iter().zip(&self.outcomes).filter_map(|(change, outcome)| match change {
            Change::Cancel(job) if outcome.is_none() => Some(*job),
            _ => None,
        });
        let jobs: Vec<JobId> = jobs.collect();
        if jobs.is_empty() { Ok(()) } else { self.graph.queue().cancel_each(self.tx, jobs).await }
    }
}

/// Inserts the rows that are not there, and locks those that are.
async fn claim(tx: &Tx, rows: &[Row]) -> Result<Vec<Before>> {
    let mut before: Vec<Option<Before>> = vec![None; rows.len()];
    let at: HashMap<(i64, String, i16, i64), usize> =
        rows.iter().enumerate().map(|(index, row)| (key(row.end), index)).collect();
    let inserted: Vec<Row> = rows.iter().filter(|row| row.inserts).copied().collect();
    if !inserted.is_empty() {
        let (wanted, values) = table(&inserted, tx);
        // Waits for a transaction that is inserting or deleting the same row.
        let sql = format!(
            "INSERT INTO tripod_edge ({KEY}, version, live) \
             SELECT r.near_id, r.kind, r.direction, r.far_id, r.version, r.live FROM {wanted} WHERE TRUE \
             ORDER BY r.near_id, r.kind, r.direction, r.far_id ON CONFLICT DO NOTHING RETURNING {KEY}"
        );
        for row in tx.connection().query_all_raw(statement(tx.connection(), &sql, values)).await? {
            if let Some(index) = at.get(&read_key(&row)?) {
                let version = rows[*index].version;
                before[*index] = Some(Before::Inserted { version });
            }
        }
    }
    let left: Vec<Row> =
        rows.iter().zip(&before).filter(|(_, before)| before.is_none()).map(|(row, _)| *row).collect();
    if !left.is_empty() {
        let (wanted, values) = table(&left, tx);
        let lock = match tx.connection().get_database_backend() {
            sea_orm::DbBackend::Postgres => " FOR NO KEY UPDATE OF e",
            _ => "",
        };
        let sql = format!(
            "SELECT e.near_id, e.kind, e.direction, e.far_id, e.version, e.live \
             FROM {wanted} JOIN tripod_edge AS e ON {SAME_KEY} \
             ORDER BY e.near_id, e.kind, e.direction, e.far_id{lock}"
        );
        for row in tx.connection().query_all_raw(statement(tx.connection(), &sql, values)).await? {
            let (version, live) = (row.try_get_by_index(4)?, row.try_get_by_index(5)?);
            if let Some(index) = at.get(&read_key(&row)?) {
                before[*index] = Some(Before::Was { version, live });
            }
        }
    }
    Ok(before.into_iter().map(|before| before.unwrap_or(Before::Nothing)).collect())
}

fn key(end: End) -> (i64, String, i16, i64) {
    (end.near, end.kind.to_owned(), end.direction as i16, end.far)
}

fn table(rows: &[Row], tx: &Tx) -> (String, Vec<sea_orm::Value>) {
    let columns = [
        ("near_id", "bigint"),
        ("kind", "text"),
        ("direction", "smallint"),
        ("far_id", "bigint"),
        ("version", "bigint"),
        ("live", "boolean"),
    ];
    let rows = rows.iter().map(|Row { end, version, live, .. }| {
        let (kind, direction) =
            (Cell::Text(end.kind.to_owned()), Cell::Integer((end.direction as i16).into()));
        let (near, far) = (Cell::Integer(end.near), Cell::Integer(end.far));
        [near, kind, direction, far, Cell::Integer(*version), Cell::Boolean(*live)]
    });
    Rows { columns, rows: rows.collect() }.table(tx.connection().get_database_backend(), 1)
}

fn moved() -> Error {
    Error::unavailable("the shard of an edge is not held by this database (any more); try again")
}
