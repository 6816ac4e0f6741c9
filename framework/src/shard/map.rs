//! The shard map: each database records its own identity and the shards it holds.
//!
//! There is no central database to lose. A new installation is divided evenly: each database first
//! records its share, then each is marked complete. A process killed in between leaves an installation
//! that is divided again, not a broken one.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use futures::future::try_join_all;
use sea_orm::sea_query::{ColumnDef, Table};
use sea_orm::{ConnectionTrait, Value};

use crate::db::{CreateTables, Database, Migration, Transaction, statement};
use crate::error::{Error, Result};
use crate::id::{SHARDS, Shard};

/// The state of a shard whose authoritative rows are here.
pub(super) const ACTIVE: &str = "active";

/// The number of the lock for assigning shards.
const ASSIGNING: i32 = 2;

/// The tables in which a database records its identity and its shards.
pub const MIGRATION: Migration = || {
    let database = Table::create()
        .table("tripod_database")
        .col(ColumnDef::new("name").text().not_null().primary_key())
        .col(ColumnDef::new("installation").text().not_null())
        .col(ColumnDef::new("complete").boolean().not_null())
        .take();
    let shard = Table::create()
        .table("tripod_shard")
        .col(ColumnDef::new("shard").integer().not_null().primary_key())
        .col(ColumnDef::new("state").text().not_null())
        .col(ColumnDef::new("epoch").big_integer().not_null())
        .take();
    CreateTables::new("m20261122_000001_tripod_shard")
        .table(database)
        .table(shard)
        .postgres(FENCE_FUNCTION)
        .boxed()
};

/// The fence for concurrent writes. It takes the shard's lock, which a move of the shard takes
/// exclusively, and only then reads the shard's state, in a separate statement and so in a new snapshot.
const FENCE_FUNCTION: &str = "CREATE FUNCTION tripod_fence(held integer) RETURNS text LANGUAGE plpgsql AS $$ BEGIN \
    PERFORM pg_advisory_xact_lock_shared(1953655142, held); \
    RETURN (SELECT state FROM tripod_shard WHERE shard = held); \
    END $$";

/// A database's record of its identity and its shards.
#[derive(Clone, Debug)]
pub struct ShardAssignment {
    /// Its random name, which identifies it even if it is listed under two addresses.
    pub name: String,
    /// The random name of its installation.
    pub installation: String,
    /// Whether the installation was completely divided.
    complete: bool,
    /// The shards that it holds as active.
    pub shards: Vec<Shard>,
}

impl ShardAssignment {
    /// Reads a database's record; `None` if the database is new.
    ///
    /// # Errors
    /// Any database error.
    pub async fn read(database: &Database) -> Result<Option<Self>> {
        let reader = database.reader();
        let sql = |text: &str| statement(reader, text, []);
        let Some(row) =
            reader.query_one_raw(sql("SELECT name, installation, complete FROM tripod_database")).await?
        else {
            return Ok(None);
        };
        let held = sql("SELECT shard FROM tripod_shard WHERE state = 'active' ORDER BY shard");
        let held = reader.query_all_raw(held).await?;
        let shards = held.iter().map(|row| {
            let number: i32 = row.try_get_by_index(0)?;
            u16::try_from(number)
                .map_err(|_| Error::internal(format!("{} lists the shard {number}", database.name())))
                .and_then(Shard::new)
        });
        Ok(Some(Self {
            name: row.try_get_by_index(0)?,
            installation: row.try_get_by_index(1)?,
            complete: row.try_get_by_index(2)?,
            shards: shards.collect::<Result<_>>()?,
        }))
    }

    /// Its shards as readable ranges: `0-4095, 5000`.
    pub fn ranges(&self) -> String {
        ranges(&self.shards)
    }
}

/// The index of each shard's database. Of databases that are [absent](Database::is_absent), the first one is
/// taken to hold every shard that no other holds: none of these shards can be reached either way.
pub(super) async fn read(databases: &[Database]) -> Result<Box<[u16]>> {
    if databases.is_empty() {
        return Err(Error::configuration("no database is configured; list at least one in `databases`"));
    }
    let assignments = databases.iter().map(async |database| match database.is_absent() {
        true => Ok(None),
        false => ShardAssignment::read(database).await,
    });
    check(databases, &try_join_all(assignments).await?)
}

async fn assignments(databases: &[Database]) -> Result<Vec<Option<ShardAssignment>>> {
    try_join_all(databases.iter().map(ShardAssignment::read)).await
}

/// Divides the shards evenly among the databases of a new installation; one that is already divided
/// stays as it is. The tables must exist ([`MIGRATION`] among them). Several processes may try at once.
///
/// # Errors
/// Configuration, if a database is listed twice.
pub async fn assign_shards(databases: &[Database]) -> Result<()> {
    // Every process takes the same lock, whatever the order of its databases.
    let Some(first) = databases.iter().min_by_key(|database| database.name()) else { return Ok(()) };
    let _lock = first.lock(ASSIGNING).await?;
    if assignments(databases).await?.iter().flatten().any(|assignment| assignment.complete) {
        return Ok(());
    }
    let installation = random_name();
    let mut names = Vec::new();
    for database in databases {
        let name = random_name();
        names.push(name.clone());
        let installation = installation.clone();
        database
            .write(move |tx| async move {
                tx.execute_unprepared("DELETE FROM tripod_database").await?;
                let sql = "INSERT INTO tripod_database VALUES ($1, $2, FALSE)";
                run(&tx, sql, [name.into(), installation.into()]).await
            })
            .await?;
    }
    // A database listed under two addresses now has the later name.
    for (database, name) in databases.iter().zip(&names) {
        if ShardAssignment::read(database).await?.is_none_or(|held| held.name != *name) {
            return Err(listed_twice(database));
        }
    }
    for (index, database) in databases.iter().enumerate() {
        let share = share(index, databases.len());
        database
            .write(move |tx| async move {
                tx.execute_unprepared("DELETE FROM tripod_shard").await?;
                let sql = "WITH RECURSIVE held(shard) AS \
                           (SELECT CAST($1 AS INTEGER) UNION ALL SELECT shard + 1 FROM held WHERE shard < $2) \
                           INSERT INTO tripod_shard SELECT shard, 'active', 1 FROM held";
                run(&tx, sql, [i32::from(*share.start()).into(), i32::from(*share.end()).into()]).await
            })
            .await?;
    }
    for database in databases {
        database
            .write(|tx| async move { run(&tx, "UPDATE tripod_database SET complete = TRUE", []).await })
            .await?;
    }
    Ok(())
}

async fn run<const N: usize>(tx: &Transaction, sql: &'static str, values: [Value; N]) -> Result<()> {
    tx.execute_raw(statement(tx, sql, values)).await?;
    Ok(())
}

/// The shards of the database at `index` of `count`: even shares that differ by at most one shard.
fn share(index: usize, count: usize) -> RangeInclusive<u16> {
    let at = |index: usize| (index * usize::from(SHARDS) / count) as u16;
    at(index)..=at(index + 1) - 1
}

fn check(databases: &[Database], assignments: &[Option<ShardAssignment>]) -> Result<Box<[u16]>> {
    const UNASSIGNED: u16 = u16::MAX;
    let mut map = vec![UNASSIGNED; usize::from(SHARDS)].into_boxed_slice();
    let (mut names, mut installation) = (HashSet::new(), None);
    for (index, (database, assignment)) in databases.iter().zip(assignments).enumerate() {
        let Some(assignment) = assignment else { continue };
        if !names.insert(&assignment.name) {
            return Err(listed_twice(database));
        }
        let (first, of) = installation.get_or_insert((database.name(), &assignment.installation));
        if **of != assignment.installation {
            return Err(Error::configuration(format!(
                "the databases {first} and {} belong to two installations; list those of one",
                database.name()
            )));
        }
        for shard in &assignment.shards {
            let holder = &mut map[usize::from(shard.number())];
            if *holder != UNASSIGNED {
                return Err(Error::configuration(format!(
                    "{shard} is held by {} and by {}: one of them is an old copy; take it off the list",
                    databases[usize::from(*holder)].name(),
                    database.name()
                )));
            }
            *holder = index as u16;
        }
    }
    let orphans: Vec<Shard> =
        Shard::all().filter(|shard| map[usize::from(shard.number())] == UNASSIGNED).collect();
    let absent = databases.iter().position(Database::is_absent);
    if orphans.len() == usize::from(SHARDS) {
        return Err(Error::configuration(
            "the listed databases are new: their shards have not been assigned yet; run `migrate`",
        ));
    }
    if let Some(absent) = absent {
        orphans.iter().for_each(|shard| map[usize::from(shard.number())] = absent as u16);
    } else if !orphans.is_empty() {
        let listed: Vec<&str> = databases.iter().map(Database::name).collect();
        return Err(Error::configuration(format!(
            "no listed database holds the shards {}: list the database that does, beside {}",
            ranges(&orphans),
            listed.join(" and ")
        )));
    }
    if let Some((database, _)) =
        databases.iter().zip(assignments).find(|(database, held)| held.is_none() && !database.is_absent())
    {
        return Err(Error::configuration(format!(
            "the database {} is new, and the others hold every shard already: take it off the list",
            database.name()
        )));
    }
    Ok(map)
}

fn listed_twice(database: &Database) -> Error {
    Error::configuration(format!(
        "the database {} is listed twice, or is a copy of another one that is listed; list each once",
        database.name()
    ))
}

fn ranges(shards: &[Shard]) -> String {
    let runs = shards.chunk_by(|a, b| a.number() + 1 == b.number()).map(|run| {
        let (first, last) = (run[0].number(), run[run.len() - 1].number());
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    });
    runs.collect::<Vec<_>>().join(", ")
}

fn random_name() -> String {
    format!("{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_shard_once() {
        for count in [1, 2, 3, 7, 100] {
            let mut next = 0;
            for index in 0..count {
                let share = share(index, count);
                assert_eq!(*share.start(), next);
                next = share.end() + 1;
            }
            assert_eq!(next, SHARDS);
        }
    }

    #[test]
    fn ranges_read_well() {
        let shards: Vec<Shard> = [0, 1, 2, 7, 9, 10].map(|n| Shard::new(n).unwrap()).into();
        assert_eq!(ranges(&shards), "0-2, 7, 9-10");
    }
}
