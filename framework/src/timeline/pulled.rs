//! Pulled authors: their audience is too large to push their items to.
//!
//! An author is marked before the first item that is not pushed, and stays marked. Readers then merge
//! the author's items in; an item that was pushed as well appears once.
//!
//! If several processes share Redis, a key there holds the version of the list in force. It changes
//! after an author's mark has committed and before the first item goes unpushed. Readers get the
//! version with their timeline. If it differs from the one they loaded, or was written on another
//! server, or a database has failed over, they reload the list from the databases.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use futures::future::try_join_all;
use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{ColumnDef, Index, Table};
use tokio::sync::Mutex;

use crate::cache::{Cache, Generation, NearCache};
use crate::db::{CreateTables, Migration, statement};
use crate::error::{Error, Result};
use crate::id::Shard;
use crate::redis::{Cmd, Redis, Value, cmd, read};
use crate::shard::Shards;

/// The pulled authors, on their own shards.
pub const MIGRATION: Migration = || {
    let pulled = Table::create()
        .table("tripod_pulled")
        .col(ColumnDef::new("author_id").big_integer().not_null())
        .col(ColumnDef::new("timeline").text().not_null())
        .primary_key(Index::create().col("author_id").col("timeline"))
        .take();
    CreateTables::new("m20261122_000004_tripod_pulled").table(pulled).boxed()
};

/// The key that holds the version in force.
pub(super) const VERSION: &str = "pulled";
/// The id of the version in its near cache.
pub(super) const VERSION_ID: i64 = 0;

type Authors = HashSet<(String, i64)>;

#[derive(Clone)]
pub(super) struct Pulled {
    shards: Shards,
    shared: Option<SharedVersion>,
    state: Arc<RwLock<PulledState>>,
    /// Held while the list is reloaded from the databases.
    renewing: Arc<Mutex<()>>,
}

/// The version in force: a key in Redis, and copies of it in the processes.
#[derive(Clone)]
pub(crate) struct SharedVersion {
    pub(super) redis: Redis,
    pub(super) near: NearCache<String>,
    pub(super) generation: Generation,
}

impl SharedVersion {
    pub(crate) fn new(redis: Redis, cache: &Cache) -> Self {
        let near = NearCache::new(cache, "pulled_authors");
        Self { redis, near, generation: cache.generation().clone() }
    }
}

#[derive(Default)]
struct PulledState {
    authors: Authors,
    /// The version that was in force before the authors were read.
    version: Option<String>,
    /// The number of databases that had answered before the authors were read.
    answering: usize,
    /// The authors that this process has announced to the others.
    announced: Authors,
}

/// The command that reads the version in force.
pub(super) fn get_version(key: &str) -> (&str, Vec<Cmd>) {
    (key, vec![cmd("GET").arg(key).take()])
}

/// The version in force together with the server that returned it and the generation of the databases that
/// authors are read from; `None` if there is none.
pub(super) fn version(
    (identity, mut replies): (Arc<str>, Vec<Value>),
    generation: &str,
) -> Result<Option<String>> {
    let version: Option<String> = read(replies.pop().unwrap_or(Value::Nil))?;
    Ok(version.map(|version| version + &identity + generation))
}

impl Pulled {
    pub(super) async fn load(shards: Shards, shared: Option<SharedVersion>) -> Result<Self> {
        let pulled = Self { shards, shared, state: Arc::default(), renewing: Arc::default() };
        pulled.reload().await?;
        Ok(pulled)
    }

    async fn reload(&self) -> Result<()> {
        let answering = self.answering();
        let authors = self.all().await?;
        self.change(|state| {
            state.authors.extend(authors);
            state.answering = answering;
        });
        Ok(())
    }

    /// The number of databases that have answered since the start.
    fn answering(&self) -> usize {
        self.shards.databases().iter().filter(|database| !database.is_absent()).count()
    }

    async fn all(&self) -> Result<Authors> {
        // The items of authors on a database that is absent can't be read anyway.
        let databases = self.shards.databases().iter().filter(|database| !database.is_absent());
        let queries = databases.map(async |database| {
            let reader = database.reader();
            let sql = "SELECT timeline, author_id FROM tripod_pulled";
            reader.query_all_raw(statement(reader, sql, [])).await
        });
        let mut authors = Authors::new();
        for row in try_join_all(queries).await?.into_iter().flatten() {
            authors.insert((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
        }
        Ok(authors)
    }

    pub(super) fn contains(&self, timeline: &str, author: i64) -> bool {
        self.read().authors.contains(&(timeline.to_owned(), author))
    }

    /// The pulled authors of a timeline. There are few: their audience must be large.
    pub(super) fn authors(&self, timeline: &str) -> Vec<i64> {
        let state = self.read();
        state.authors.iter().filter(|(name, _)| name == timeline).map(|(_, author)| *author).collect()
    }

    /// Reloads the authors if the version in force, `seen`, is not the loaded one.
    pub(super) async fn renew(&self, seen: Option<String>) -> Result<()> {
        let Some(SharedVersion { redis, generation, .. }) = &self.shared else {
            // There is no other process, but a database may have come back.
            let is_current = self.read().answering == self.answering();
            return if is_current { Ok(()) } else { self.reload().await };
        };
        let is_current = || {
            let state = self.read();
            seen.is_some() && state.version == seen && state.answering == self.answering()
        };
        if is_current() {
            return Ok(());
        }
        let _turn = self.renewing.lock().await;
        if is_current() {
            return Ok(());
        }
        let key = redis.key(VERSION);
        if seen.is_none() {
            redis.query::<()>(&cmd("SET").arg(&key).arg(new_version()).arg("NX").take()).await?;
        }
        // Read before the authors: a mark made in between changes the version.
        let generation = generation.digits();
        let replies = redis.query_identified(&[], &[get_version(&key)]).await?.pop();
        let version = replies.map(|replies| version(replies, &generation)).transpose()?.flatten();
        let version = version.ok_or_else(|| Error::unavailable("Redis has dropped a key just written"))?;
        self.reload().await?;
        self.change(|state| state.version = Some(version));
        Ok(())
    }

    /// Marks an author: durably first, then in this process.
    pub(super) async fn mark(&self, timeline: &'static str, author: i64) -> Result<()> {
        self.shards
            .write(Shard::of_id(author), move |tx| async move {
                let connection = tx.connection();
                let sql =
                    "INSERT INTO tripod_pulled (author_id, timeline) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                connection.execute_raw(statement(connection, sql, [author.into(), timeline.into()])).await?;
                Ok(())
            })
            .await?;
        self.change(|state| state.authors.insert((timeline.to_owned(), author)));
        Ok(())
    }

    /// Makes every process reload the list before an item of a marked author goes unpushed. Each process
    /// does this once per author: the process that marked the author may have died before it announced
    /// it.
    pub(super) async fn announce(&self, timeline: &str, author: i64) -> Result<()> {
        let Some(SharedVersion { redis, near, .. }) = &self.shared else { return Ok(()) };
        let entry = (timeline.to_owned(), author);
        if self.read().announced.contains(&entry) {
            return Ok(());
        }
        redis.query::<()>(&cmd("SET").arg(redis.key(VERSION)).arg(new_version()).take()).await?;
        near.invalidate(&[VERSION_ID]).await?;
        self.change(|state| state.announced.insert(entry));
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, PulledState> {
        self.state.read().unwrap_or_else(|broken| broken.into_inner())
    }

    fn change<R>(&self, change: impl FnOnce(&mut PulledState) -> R) {
        change(&mut self.state.write().unwrap_or_else(|broken| broken.into_inner()));
    }
}

/// A new version, different from every earlier one even if Redis has lost them.
fn new_version() -> String {
    format!("{:032x}", rand::random::<u128>())
}
