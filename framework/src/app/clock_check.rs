//! Compares this machine's clock with the newest row and with the clocks of the database servers: a wrong
//! clock would make ids that are older than existing ones, or far newer than those to come.
//!
//! Where rows are newer than the clock, ids continue above the newest row. A file has no other witness than its
//! rows, so a clock that is far behind them is refused. On servers, a clock that differs from theirs is refused
//! at start; while the process runs, no ids are generated until the clocks agree again.

use std::time::Duration;

use sea_orm::ConnectionTrait;

use crate::db::{Database, statement};
use crate::error::{Error, Result};
use crate::id::{Clock, EPOCH_MS, LAST_INSTANT_MS, date, timestamp_ms};
use crate::shard::{Placement, Shards, Table};

/// How far the clocks of machines may be apart.
const TOLERANCE: Duration = Duration::from_secs(5);
/// How far a file's newest row may be ahead of the clock.
const FILE_TOLERANCE: Duration = Duration::from_secs(3_600);
/// The pause between two comparisons.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// Checks the clock at start, and makes ids continue above the newest row.
///
/// # Errors
/// Configuration, if the clock is wrong, or is behind the rows of files and not `trusted`.
pub(crate) async fn check(shards: &Shards, tables: &[Table], trusted: bool) -> Result<()> {
    let now_ms = shards.clock().now_ms();
    if !(EPOCH_MS..=EPOCH_MS + LAST_INSTANT_MS).contains(&now_ms) {
        return Err(Error::configuration(format!(
            "this machine's clock shows {}, and ids hold times from 2025 to 2059: correct the clock",
            date(now_ms)
        )));
    }
    for database in shards.databases().iter().filter(|database| !database.is_absent()) {
        check_against(database, shards, tables, trusted).await?;
    }
    Ok(())
}

/// Checks the clock against one database, and makes ids continue above its newest row.
///
/// # Errors
/// As for [`check`].
pub(super) async fn check_against(
    database: &Database,
    shards: &Shards,
    tables: &[Table],
    trusted: bool,
) -> Result<()> {
    let (clock, now_ms) = (shards.clock(), shards.clock().now_ms());
    if let Some(theirs_ms) = witness(database, clock)
        && let Some(differs) = difference(now_ms, theirs_ms)
    {
        return Err(Error::configuration(format!(
            "this machine's clock is {differs} that of the database {}, whose server shows {}: correct the \
                 clock that is wrong, with NTP on both",
            database.name(),
            date(theirs_ms)
        )));
    }
    let Some(newest_ms) = newest_ms(database, tables).await? else { return Ok(()) };
    let ahead = Duration::from_millis(newest_ms.saturating_sub(now_ms));
    if ahead > FILE_TOLERANCE && database.is_embedded() && !trusted {
        return Err(Error::configuration(format!(
            "this machine's clock shows {}, and the newest row of {} is from {}: correct the clock; if it is \
                 right, and it ran ahead when that row was written, set trust_clock (TRIPOD_TRUST_CLOCK=on)",
            date(now_ms),
            database.name(),
            date(newest_ms)
        )));
    }
    if !ahead.is_zero() {
        tracing::warn!(
            database = database.name(),
            ahead_ms = ahead.as_millis() as u64,
            "the newest row is ahead of this machine's clock: ids continue above it"
        );
    }
    shards.generator().continue_after(newest_ms);
    Ok(())
}

/// Compares the clocks for as long as the process runs.
pub(crate) fn watch(shards: &Shards) {
    if shards.clock().is_manual() || shards.databases().iter().all(Database::is_embedded) {
        return;
    }
    limit(shards);
    let shards = shards.clone();
    tokio::spawn(async move {
        let mut agreed = true;
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            let agrees = limit(&shards);
            match (agreed, agrees) {
                (true, false) => tracing::error!(
                    "this machine's clock disagrees with the databases': writes that need an id are refused until \
                     it is corrected"
                ),
                (false, true) => tracing::info!("this machine's clock agrees with the databases' again"),
                _ => {}
            }
            agreed = agrees;
        }
    });
}

/// Limits ids to the databases' time. Returns whether the clock agrees with it: with any of theirs, because a
/// server's clock may be the wrong one.
fn limit(shards: &Shards) -> bool {
    let clock = shards.clock();
    let witnesses: Vec<u64> =
        shards.databases().iter().filter_map(|database| witness(database, clock)).collect();
    witnesses.iter().for_each(|theirs_ms| clock.forget_what_was_ahead(*theirs_ms, TOLERANCE));
    let now_ms = clock.now_ms();
    let agreeing = witnesses.iter().filter(|theirs_ms| difference(now_ms, **theirs_ms).is_none());
    // If the clock jumps before the next look, it passes the limit.
    let most_ms = agreeing.max().map(|theirs_ms| theirs_ms + 3 * TOLERANCE.as_millis() as u64);
    shards.generator().limit_to(most_ms.unwrap_or(0));
    most_ms.is_some()
}

/// A server's time, unless the clock is moved by hand.
fn witness(database: &Database, clock: &Clock) -> Option<u64> {
    database.clock_ms().filter(|_| !clock.is_manual())
}

/// By how much the clock differs, in words, if that is more than machines may be apart.
fn difference(now_ms: u64, theirs_ms: u64) -> Option<String> {
    let seconds = now_ms.abs_diff(theirs_ms) / 1_000;
    let which = if now_ms > theirs_ms { "ahead of" } else { "behind" };
    (seconds > TOLERANCE.as_secs()).then(|| format!("{seconds} s {which}"))
}

/// The time in the newest id of these tables and of the queue.
async fn newest_ms(database: &Database, tables: &[Table]) -> Result<Option<u64>> {
    let reader = database.reader();
    let by_id = tables.iter().filter_map(|table| match &table.placement {
        Placement::Id(id) if table.key == [id.as_str()] => Some((table.name, id.as_str())),
        _ => None,
    });
    let mut newest: Option<i64> = None;
    for (table, id) in by_id.chain([("tripod_job", "id")]) {
        let sql = format!("SELECT max({id}) FROM {table}");
        let row = reader.query_one_raw(statement(reader, &sql, [])).await?;
        newest = newest.max(row.map(|row| row.try_get_by_index(0)).transpose()?.flatten());
    }
    Ok(newest.map(timestamp_ms))
}
