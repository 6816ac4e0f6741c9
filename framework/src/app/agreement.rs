//! What the processes of an installation must agree on: Redis, or that there is none, and the media
//! store.
//!
//! A process that uses another Redis misses the others' changes, and one that uses another media store
//! keeps files where nobody deletes them. So each database records both stores, every start compares
//! its own with the record, and a running process stops when the record changes.
//!
//! A store is identified by its content, not by its address: it holds a random mark, which the record
//! repeats. The same store may have several addresses, and one address may lead to another store. The
//! media store is durable, so its mark is there or it is another store. Redis may be flushed, or failed
//! over to a replica that lacks the mark, and then nothing tells it from an empty one that is not ours.
//! - Every running process puts a missing mark back, within [`WATCH_INTERVAL`]. It is connected, so it
//!   knows which Redis is meant.
//! - If none runs, the address decides: an unmarked Redis at the recorded address is accepted and marked
//!   again, and one at another address is refused.
//!
//! A Redis with a mark that is not in the record is another installation's, or was ours before a move.
//! Either would serve stale or foreign data, so even [`adopt`] refuses it until it is emptied.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{ColumnDef, Table};
use tokio_util::sync::CancellationToken;

use crate::db::{CreateTables, Database, Lock, Migration, statement};
use crate::error::{Error, Result};
use crate::media::MediaStore;
use crate::redis::{Redis, cmd};

/// The table with the record of each store. `mark` is empty if there is no such store.
pub(crate) const MIGRATION: Migration = || {
    let store = Table::create()
        .table("tripod_store")
        .col(ColumnDef::new("kind").text().not_null().primary_key())
        .col(ColumnDef::new("mark").text().not_null())
        .col(ColumnDef::new("address").text().not_null())
        .take();
    CreateTables::new("m20261128_000001_tripod_store").table(store).boxed()
};

/// The number of the lock for reading and changing the record at start.
const AGREEING: i32 = 4;
/// The pause between two comparisons while the process runs.
const WATCH_INTERVAL: Duration = Duration::from_secs(5);
/// The name of the key in Redis that holds its mark.
const MARK: &str = "mark";

/// The databases that hold the record, and the stores of this process.
#[derive(Clone)]
pub(crate) struct Agreement {
    databases: Vec<Database>,
    redis: Option<Redis>,
    media: MediaStore,
    /// The records when this process started.
    agreed: Vec<Record>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Redis,
    Media,
}

/// A store as the databases record it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Record {
    /// Empty if the installation has no such store.
    mark: String,
    address: String,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Redis, Self::Media];

    fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Media => "media",
        }
    }

    fn setting(self) -> &'static str {
        match self {
            Self::Redis => "redis (TRIPOD_REDIS)",
            Self::Media => "media (TRIPOD_MEDIA)",
        }
    }

    fn described(self, address: &str) -> String {
        match self {
            Self::Redis if address.is_empty() => "no Redis".to_owned(),
            Self::Redis => format!("the Redis at {address}"),
            Self::Media => format!("the media store {address}"),
        }
    }
}

impl Agreement {
    pub(super) fn new(databases: &[Database], redis: Option<&Redis>, media: &MediaStore) -> Self {
        let (redis, media) = (redis.cloned(), media.clone());
        Self { databases: databases.to_vec(), redis, media, agreed: Vec::new() }
    }

    /// Compares the stores with the records, which the first process makes. Several may start at once:
    /// one of them is first.
    ///
    /// # Errors
    /// Configuration, naming both stores, if they are not the recorded ones.
    pub(super) async fn check(&mut self, app: &str) -> Result<()> {
        let lock = self.lock().await?;
        for kind in Kind::ALL {
            let address = self.address(kind);
            let found = self.mark(kind).await?;
            let record = match self.record(kind).await? {
                Some(record) => record,
                None if kind == Kind::Redis && found.is_some() => return Err(in_use(&address)),
                None => {
                    let record = self.adopt_one(kind, found).await?;
                    self.agreed.push(record);
                    continue;
                }
            };
            let is_none = address.is_empty() && record.mark.is_empty();
            let is_same = !address.is_empty() && found.as_ref() == Some(&record.mark);
            let has_lost_mark = kind == Kind::Redis
                && found.is_none()
                && !record.mark.is_empty()
                && record.address == address;
            if has_lost_mark {
                self.set_mark(kind, &record.mark).await?;
            } else if !is_none && !is_same {
                return Err(differs(kind, &address, &record.address, app));
            }
            // It also reaches databases that have no record yet, and has the latest address.
            let record = Record { address, ..record };
            self.write(kind, &record).await?;
            self.agreed.push(record);
        }
        // The lock for as long as this process runs is about to need the connection.
        match lock {
            Some(lock) => lock.release().await,
            None => Ok(()),
        }
    }

    /// Makes the stores of this process the installation's. Returns a line about each change.
    ///
    /// # Errors
    /// Configuration, if Redis is in use by another installation or has old data of this one.
    pub(super) async fn adopt(&self) -> Result<Vec<String>> {
        let _lock = self.lock().await?;
        let mut changes = Vec::new();
        for kind in Kind::ALL {
            let found = self.mark(kind).await?;
            // Databases that contradict each other have no common record.
            let records = self.records(kind).await?;
            let records: Vec<Option<Record>> = records.into_iter().map(|(_, record)| record).collect();
            let address = self.address(kind);
            let is_same = |record: &Option<Record>| {
                record.as_ref().is_some_and(|record| record.mark == found.clone().unwrap_or_default())
            };
            if records.iter().all(is_same) && (found.is_some() || address.is_empty()) {
                continue;
            }
            if kind == Kind::Redis && found.is_some() && !records.iter().any(is_same) {
                return Err(in_use(&address));
            }
            self.adopt_one(kind, found).await?;
            let before = records.iter().flatten().next();
            let before = before.map(|record| format!(", in place of {}", kind.described(&record.address)));
            changes.push(format!("{} is used{}", kind.described(&address), before.unwrap_or_default()));
        }
        Ok(changes)
    }

    /// Records a store under the mark that was found in it, or a new one.
    async fn adopt_one(&self, kind: Kind, found: Option<String>) -> Result<Record> {
        let address = self.address(kind);
        let new = || format!("{:032x}", rand::random::<u128>());
        let mark = if address.is_empty() { String::new() } else { found.unwrap_or_else(new) };
        let record = Record { mark, address };
        // A process that ends in between leaves a Redis that can be marked again, or a media store whose
        // mark can be recorded.
        if kind == Kind::Redis {
            self.write(kind, &record).await?;
        }
        if !record.mark.is_empty() {
            self.set_mark(kind, &record.mark).await?;
        }
        if kind == Kind::Media {
            self.write(kind, &record).await?;
        }
        Ok(record)
    }

    /// Puts a missing mark back into Redis, and stops this process if the installation moved to another
    /// store, or another installation took over its Redis.
    pub(super) async fn watch(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            match self.compare().await {
                Ok(None) => {}
                Ok(Some(why)) => {
                    tracing::error!("{why}: stopping");
                    return stop.cancel();
                }
                Err(error) => tracing::debug!(error = error.chain(), "the stores can't be compared now"),
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(WATCH_INTERVAL) => {}
            }
        }
    }

    /// Why this process must stop, if it must.
    async fn compare(&self) -> Result<Option<String>> {
        for (kind, agreed) in Kind::ALL.into_iter().zip(&self.agreed) {
            let recorded = self.record(kind).await?;
            if let Some(now) = recorded.filter(|now| now.mark != agreed.mark) {
                let now = kind.described(&now.address);
                return Ok(Some(format!("the installation moved to {now}; set {}", kind.setting())));
            }
            if kind == Kind::Redis && self.redis.is_some() {
                self.set_mark(kind, &agreed.mark).await?;
                if self.mark(kind).await?.is_some_and(|found| found != agreed.mark) {
                    let taken = kind.described(&agreed.address);
                    return Ok(Some(format!("another installation has taken over {taken}")));
                }
            }
        }
        Ok(None)
    }

    /// All processes take it in the same database, in whatever order the databases are listed, unless
    /// that one is down.
    async fn lock(&self) -> Result<Option<Lock>> {
        let mut databases: Vec<&Database> = self.databases.iter().collect();
        databases.sort_by_key(|database| database.name());
        let mut down = None;
        for database in databases {
            match database.lock(AGREEING).await {
                Err(error) if error.is_unavailable() => down = Some(error),
                locked => return locked.map(Some),
            }
        }
        down.map_or(Ok(None), Err)
    }

    fn address(&self, kind: Kind) -> String {
        match kind {
            Kind::Redis => self.redis.as_ref().map(Redis::address).unwrap_or_default().to_owned(),
            Kind::Media => self.media.address(),
        }
    }

    async fn mark(&self, kind: Kind) -> Result<Option<String>> {
        match (kind, &self.redis) {
            (Kind::Redis, Some(redis)) => redis.query(cmd("GET").arg(redis.key(MARK))).await,
            (Kind::Redis, None) => Ok(None),
            (Kind::Media, _) => self.media.mark().await,
        }
    }

    /// Marks a store that has no mark.
    async fn set_mark(&self, kind: Kind, mark: &str) -> Result<()> {
        match (kind, &self.redis) {
            (Kind::Redis, Some(redis)) => {
                redis.query(cmd("SET").arg(redis.key(MARK)).arg(mark).arg("NX")).await
            }
            (Kind::Redis, None) => Ok(()),
            (Kind::Media, _) => self.media.set_mark(mark).await,
        }
    }

    /// The record in the databases that have one.
    async fn record(&self, kind: Kind) -> Result<Option<Record>> {
        let mut records = self.records(kind).await?.into_iter().filter_map(|(_, record)| record);
        let Some(first) = records.next() else { return Ok(None) };
        match records.find(|other| other.mark != first.mark) {
            None => Ok(Some(first)),
            Some(other) => Err(Error::configuration(format!(
                "the databases disagree on the installation's store: {}, and {}; run `migrate --adopt` with \
                 the right one in {}",
                kind.described(&first.address),
                kind.described(&other.address),
                kind.setting()
            ))),
        }
    }

    /// The record in each database, without those that are down: their copies are compared later.
    async fn records(&self, kind: Kind) -> Result<Vec<(&Database, Option<Record>)>> {
        let (mut records, mut down) = (Vec::new(), None);
        for database in &self.databases {
            match read(database, kind).await {
                Ok(record) => records.push((database, record)),
                Err(error) if error.is_unavailable() => down = Some(error),
                Err(error) => return Err(error),
            }
        }
        match down {
            Some(error) if records.is_empty() => Err(error),
            _ => Ok(records),
        }
    }

    async fn write(&self, kind: Kind, record: &Record) -> Result<()> {
        let records = self.records(kind).await?;
        for (database, _) in records.iter().filter(|(_, held)| held.as_ref() != Some(record)) {
            let Record { mark, address } = record.clone();
            database
                .write(move |tx| async move {
                    let sql = "INSERT INTO tripod_store VALUES ($1, $2, $3) ON CONFLICT (kind) \
                               DO UPDATE SET mark = excluded.mark, address = excluded.address";
                    let values = [kind.name().into(), mark.into(), address.into()];
                    tx.execute_raw(statement(&tx, sql, values)).await?;
                    Ok(())
                })
                .await?;
        }
        Ok(())
    }
}

async fn read(database: &Database, kind: Kind) -> Result<Option<Record>> {
    let reader = database.reader();
    let sql = "SELECT mark, address FROM tripod_store WHERE kind = $1";
    let row = reader.query_one_raw(statement(reader, sql, [kind.name().into()])).await?;
    let record = row.map(|row| {
        Ok::<_, Error>(Record { mark: row.try_get_by_index(0)?, address: row.try_get_by_index(1)? })
    });
    record.transpose()
}

fn in_use(address: &str) -> Error {
    Error::configuration(format!(
        "the Redis at {address} is another installation's, or has old data of this one: empty it (FLUSHDB), or \
         add ?prefix=TEXT to redis (TRIPOD_REDIS) for keys of its own"
    ))
}

fn differs(kind: Kind, here: &str, recorded: &str, app: &str) -> Error {
    let (here_is, recorded_is) = (kind.described(here), kind.described(recorded));
    let setting = kind.setting();
    let compared = match here == recorded {
        true => format!("{here_is} is not the one that this installation used at this address"),
        false => format!("this process uses {here_is}, and the installation {recorded_is}"),
    };
    Error::configuration(format!(
        "{compared}: correct {setting}; to move the installation, stop its other processes and run \
         `{app} migrate --adopt` with the new setting"
    ))
}
