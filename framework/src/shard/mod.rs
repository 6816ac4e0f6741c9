//! Logical shards: 8,192 slices of all data on any number of physical databases.
//!
//! A row lives on its owner's shard, which its id encodes. Each database records which shards it holds
//! ([`map`](self), table `tripod_shard`); a process reads that at start and routes by it. A write
//! transaction opens through a fence that checks the database's record again, so a process with an
//! outdated map is refused. Invariants: one database holds a shard at a time; nothing reads across
//! shards except the methods of [`Read`] that take many ids or owners, or are documented to read all
//! owners. Those make one query per physical database.

mod catalogue;
mod combine;
mod extensions;
mod failover;
mod hold;
mod insert_raw;
mod list;
mod map;
mod name;
mod read;
mod row_cache;
mod row_observer;
mod settle;
mod sharded;
mod tx;
mod update;
mod write_each;

use std::sync::{Arc, RwLock, Weak};
use std::time::Duration;

use futures::future::join_all;
use sea_orm::ConnectionTrait;

pub use catalogue::{Column, Placement, Table};
pub(crate) use combine::{Combine, Combiner};
pub use list::{Keyset, List, Order, Position};
pub use map::{MIGRATION, ShardAssignment, assign_shards};
pub use name::{NAME_MIGRATION, RETIRED_MIGRATION};
pub use read::{Completeness, Consistency, Read, Rows};
pub(crate) use row_observer::{Observed, RowObserver};
pub use sharded::{RowTable, Sharded, TextSharded};
pub use tx::Tx;

use crate::cache::Cache;
use crate::db::{Database, Reader};
use crate::error::Result;
use crate::id::{Clock, Id, IdGenerator, Shard};
use extensions::Extensions;
use row_cache::CachedEntities;
use row_observer::RowObservers;

/// How long a write waits for its hooks after the commit.
const HOOKS: Duration = Duration::from_secs(2);

/// A handle on all data: finds the database of a shard, reads from it and writes to it.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    databases: Vec<Database>,
    /// The index of each shard's database. Replaced as a whole when shards move.
    map: RwLock<Arc<[u16]>>,
    generator: IdGenerator,
    clock: Clock,
    cache: Cache,
    cached: CachedEntities,
    extensions: Extensions,
    observers: RowObservers,
}

impl std::fmt::Debug for Shards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Shards").field(&self.0.databases).finish()
    }
}

impl Shards {
    /// Reads which shards each database holds. All shards must be assigned ([`assign_shards`]).
    ///
    /// # Errors
    /// Configuration: no database or more than one holds a shard, or a database is listed twice or
    /// belongs to another installation.
    pub async fn open(databases: Vec<Database>, clock: Clock, cache: Cache) -> Result<Self> {
        let map = RwLock::new(map::read(&databases).await?.into());
        let shards = Self(Arc::new(Inner {
            databases,
            map,
            generator: IdGenerator::new(clock.clone()),
            clock,
            cache,
            cached: CachedEntities::default(),
            extensions: Extensions::default(),
            observers: RowObservers::default(),
        }));
        failover::follow(&shards).await;
        Ok(shards)
    }

    /// The cache in front of these databases.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// A weak handle, which does not keep the databases open, for values that the shards hold
    /// themselves.
    fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    /// The clock for ids and deadlines.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The physical databases, in the order they are listed.
    pub fn databases(&self) -> &[Database] {
        &self.0.databases
    }

    /// The read connections of a shard's database, for the app's own queries. Such a query must be about
    /// rows of this shard.
    pub fn reader(&self, shard: Shard) -> &Reader {
        self.database(shard).reader()
    }

    /// What generates the ids.
    pub(crate) fn generator(&self) -> &IdGenerator {
        &self.0.generator
    }

    /// Generates an id without claiming it, for a row that is inserted later.
    ///
    /// # Errors
    /// As for [`IdGenerator::generate`].
    pub fn generate_id<E>(&self, shard: impl Into<Shard>) -> Result<Id<E>> {
        self.0.generator.generate(shard.into())
    }

    /// Runs `work` in one transaction on a shard, such as the shard of an id. On `Ok` all of it is
    /// durable; on an error none of it has happened, unless the error [is
    /// unconfirmed](crate::Error::is_unconfirmed). The rules for the work are in [`Database::write`].
    /// After the commit, the cache holds no older version of what it changed.
    ///
    /// ```no_run
    /// # use sea_orm::ActiveValue::Set;
    /// # use tripod::conformance::{author, note};
    /// # async fn f(shards: tripod::shard::Shards, me: tripod::id::Id<author::Entity>) -> tripod::Result<()> {
    /// let id = shards
    ///     .write(me, move |tx| async move {
    ///         let note = note::ActiveModel { author_id: Set(me), text: Set("hi".into()), ..Default::default() };
    ///         tx.insert(note).await
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The errors of `work` and of the database; unavailable, if the shard has moved away.
    pub async fn write<R, F, Done>(&self, shard: impl Into<Shard>, work: F) -> Result<R>
    where
        F: FnOnce(Tx) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        let (shards, shard) = (self.clone(), shard.into());
        let database = self.database(shard);
        let fence = Tx::fence(database.reader().get_database_backend(), shard);
        let (result, hooks) = database
            .write_after(fence, move |transaction, state| async move {
                let tx = Tx::open(transaction, state, shard, shards)?;
                let result = work(tx.clone()).await?;
                Ok((result, tx.finish().await))
            })
            .await?;
        run_hooks(hooks).await;
        Ok(result)
    }

    /// Checks whether each database responds.
    pub async fn ping(&self) -> Vec<(&Database, Result<()>)> {
        join_all(self.databases().iter().map(async |database| (database, database.ping().await))).await
    }

    /// The database that holds a shard.
    pub fn database(&self, shard: Shard) -> &Database {
        &self.0.databases[self.database_index(shard)]
    }

    /// Reads again which shards each database holds and routes by that from now on, for use after shards
    /// have moved. Returns whether any has moved. Calls in progress end on the database where they
    /// began; the fence refuses a write there.
    ///
    /// # Errors
    /// As for [`Self::open`]; the map then stays as it was.
    pub async fn reload_map(&self) -> Result<bool> {
        let map = map::read(self.databases()).await?;
        Ok(self.replace_map(map))
    }

    /// Lets calls reach a database that was [absent](Database::is_absent) at start, once `checked`, a handle
    /// on the same server, shows that it fits.
    ///
    /// # Errors
    /// As for [`Self::open`]; the database then stays absent.
    pub(crate) async fn admit(&self, index: usize, checked: &Database) -> Result<()> {
        let mut databases = self.databases().to_vec();
        databases[index] = checked.clone();
        // First: a shard that another absent database holds must not be read here.
        self.replace_map(map::read(&databases).await?);
        self.databases()[index].admit_as(checked);
        Ok(())
    }

    fn replace_map(&self, map: Box<[u16]>) -> bool {
        let map: Arc<[u16]> = map.into();
        let mut current = self.0.map.write().unwrap_or_else(|broken| broken.into_inner());
        let has_changed = **current != *map;
        *current = map;
        has_changed
    }

    /// The place in [`Self::databases`] of the database that holds a shard.
    pub(crate) fn database_index(&self, shard: Shard) -> usize {
        let map = self.0.map.read().unwrap_or_else(|broken| broken.into_inner());
        map[usize::from(shard.number())].into()
    }
}

/// Runs the hooks of a commit, and waits for them for a short time.
async fn run_hooks(hooks: Vec<tx::Hook>) {
    if hooks.is_empty() {
        return;
    }
    // Spawned, because the caller may be dropped meanwhile by a client that hangs up.
    let hooks = tokio::spawn(join_all(hooks));
    if tokio::time::timeout(HOOKS, hooks).await.is_err() {
        tracing::warn!("the hooks of a commit take long: its caller continues without them");
    }
}
