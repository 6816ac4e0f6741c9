//! Logical shards: 8,192 slices of all data on any number of physical databases.
//!
//! A row lives on the shard of its owner, and its id says so. Each database states in itself
//! which shards it holds ([`map`](self), table `tripod_shard`); a process reads that at start and
//! routes by it. A write transaction opens through a fence that asks the database again, so a
//! process with an old map is refused rather than obeyed. Invariants: one database holds a shard
//! at a time; nothing reads across shards except through [`Shards::everywhere`] and the calls
//! that take many ids or owners, which make one query a physical database.

mod cached;
mod everywhere;
mod map;
mod reachable;
mod read;
mod sharded;
mod tx;

use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};

pub use everywhere::Everywhere;
pub use map::{Holding, MIGRATION, divide};
pub use reachable::Reachable;
pub use read::Page;
pub use sharded::{Sharded, TextSharded};
pub use tx::{Claimed, Tx};

use crate::cache::Cache;
use crate::db::{Database, Reader};
use crate::error::{Error, Result};
use crate::id::{Clock, Id, Minter, Shard};
use cached::CachedRows;

/// How long the hooks of a commit are waited for.
const HOOKS: Duration = Duration::from_secs(2);

/// The handle on all data: finds the database of a shard, reads from it and writes to it.
#[derive(Clone)]
pub struct Shards(Arc<Inner>);

struct Inner {
    databases: Vec<Database>,
    /// For each shard the index of its database.
    map: Box<[u16]>,
    minter: Minter,
    clock: Clock,
    cache: Cache,
    cached: CachedRows,
}

impl Shards {
    /// Reads what each database holds. The installation must have been divided ([`divide`]).
    ///
    /// # Errors
    /// Configuration: a shard that nobody holds or two hold, a database listed twice or of
    /// another installation.
    pub async fn open(databases: Vec<Database>, clock: Clock, cache: Cache) -> Result<Self> {
        let map = map::read(&databases).await?;
        let (minter, cached) = (Minter::new(clock.clone()), CachedRows::default());
        Ok(Self(Arc::new(Inner { databases, map, minter, clock, cache, cached })))
    }

    /// The cache that stands before these databases.
    pub fn cache(&self) -> &Cache {
        &self.0.cache
    }

    /// The same handle, without keeping the databases open: for what these hold themselves.
    fn downgrade(&self) -> Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    /// The clock that ids and deadlines go by.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The physical databases, in the order they were listed.
    pub fn databases(&self) -> &[Database] {
        &self.0.databases
    }

    /// The connections that read a shard's database, for queries of the app's own. Such a query
    /// must be about rows of this shard.
    pub fn reader(&self, shard: Shard) -> &Reader {
        self.database(shard).reader()
    }

    /// Mints an id without claiming it: for an effect that is to be made under it later, with
    /// [`Tx::claim`].
    ///
    /// # Errors
    /// Those of [`Minter::mint`].
    pub fn mint<E>(&self, shard: Shard) -> Result<Id<E>> {
        self.0.minter.mint(shard)
    }

    /// Runs `work` in one transaction on a shard: all of it is durable when `Ok` comes back, none
    /// of it happened otherwise. See [`Database::write`] for what holds of the work. What it changes
    /// of what is cached is barred before the commit and admitted after it.
    ///
    /// # Errors
    /// Those of `work` and of the database; unavailable when the shard has moved away.
    pub async fn write<R, E, F>(&self, shard: Shard, work: F) -> Result<R, E>
    where
        F: for<'t> FnOnce(&'t Tx<'t>) -> BoxFuture<'t, Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let shards = self.clone();
        let (result, hooks) = self
            .database(shard)
            .write(move |transaction| {
                Box::pin(async move {
                    let tx = Tx::open(transaction, shard, shards).await?;
                    let result = work(&tx).await?;
                    Ok::<_, E>((result, tx.finish().await))
                })
            })
            .await?;
        if !hooks.is_empty() {
            // A task of its own: the caller may be dropped meanwhile, by a client who hangs up.
            let hooks = tokio::spawn(join_all(hooks));
            if tokio::time::timeout(HOOKS, hooks).await.is_err() {
                tracing::warn!("what follows a commit takes long: its caller goes on without it");
            }
        }
        Ok(result)
    }

    /// Asks every database: for what is about no owner. Costs a query each, so it is never on the
    /// path of an ordinary read.
    pub fn everywhere(&self) -> Everywhere<'_> {
        Everywhere(self)
    }

    /// Asks the databases that are up, for lists that are worth having in part.
    pub fn reachable(&self) -> Reachable<'_> {
        Reachable(self)
    }

    /// Whether each database answers.
    pub async fn ping(&self) -> Vec<(&Database, Result<()>)> {
        join_all(self.databases().iter().map(async |database| (database, database.ping().await))).await
    }

    /// The database that holds a shard.
    pub fn database(&self, shard: Shard) -> &Database {
        &self.0.databases[self.database_index(shard)]
    }

    fn database_index(&self, shard: Shard) -> usize {
        self.0.map[usize::from(shard.number())].into()
    }
}
