//! A write transaction on one shard. It opens through the fence, and generates ids as it claims rows.

use std::sync::{Arc, Mutex, MutexGuard};

use futures::future::BoxFuture;
use sea_orm::sea_query::LockType;
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IdenStatic,
    IntoActiveModel, QueryFilter, QuerySelect, Select, TryInsertResult, Value,
};

use super::hold::HeldRows;
use super::{RowTable, Sharded, Shards};
use crate::access::Unchecked;
use crate::cache::Changed;
use crate::db::{Transaction, statement};
use crate::error::{Error, Result};
use crate::id::{Id, Shard};

/// Ids tried before giving up. A second try means that another process generated the same id in the same
/// millisecond; ten in a row mean another fault.
pub(super) const MAX_ATTEMPTS: usize = 10;

pub(super) type Hook = BoxFuture<'static, ()>;

/// The unit of work: a transaction on one shard. Rows, edges, jobs and files written through it commit
/// together, or not at all. [`Shards::write`] passes it to the work, by value; clones share it.
///
/// Its writes update the cache and timelines. The methods here are about rows, texts and names; the
/// modules `queue`, `graph`, `media` and `web` add methods for jobs, edges, files and sessions.
#[derive(Clone)]
pub struct Tx(Arc<Inner>, Shard);

struct Inner {
    transaction: Transaction,
    shards: Shards,
    hooks: Mutex<Vec<Hook>>,
    changed: Mutex<Vec<Changed>>,
    held: Mutex<HeldRows>,
}

impl Tx {
    /// The fence: a query whether the database holds a shard, inside the transaction that relies on it.
    pub(super) fn fence(backend: DbBackend, shard: Shard) -> String {
        let number = shard.number();
        match backend {
            DbBackend::Postgres => format!("SELECT tripod_fence({number})"),
            // A SQLite file has one writer, so no lock is needed.
            _ => format!("SELECT state FROM tripod_shard WHERE shard = {number}"),
        }
    }

    /// Opens it with the fence's result.
    pub(super) fn open(
        transaction: Transaction,
        state: Option<String>,
        shard: Shard,
        shards: Shards,
    ) -> Result<Self> {
        if state.as_deref() != Some(super::map::ACTIVE) {
            return Err(Error::unavailable(format!(
                "{shard} is not held by this database (any more); try again"
            )));
        }
        Ok(Self::on(transaction, shard, shards))
    }

    pub(super) fn on(transaction: Transaction, shard: Shard, shards: Shards) -> Self {
        let (hooks, changed, held) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { transaction, shards, hooks, changed, held }), shard)
    }

    /// The same transaction, to write to another shard that its database holds.
    pub(super) fn to(&self, shard: Shard) -> Self {
        Self(self.0.clone(), shard)
    }

    /// The shard that this transaction writes to.
    pub fn shard(&self) -> Shard {
        self.1
    }

    /// All data, for services that take part in the transaction.
    pub(crate) fn shards(&self) -> &Shards {
        &self.0.shards
    }

    /// The connection, for sea-orm's statements about rows of this shard. Their changes reach neither
    /// the cache nor timelines: report them with [`Self::changes`], or use [`Self::update`].
    pub fn connection_without_invalidation(&self) -> &Transaction {
        &self.0.transaction
    }

    pub(crate) fn connection(&self) -> &Transaction {
        &self.0.transaction
    }

    /// Runs a statement of the framework's own, with its values bound to `$1`, `$2`, ...; returns the number of
    /// rows that it changed.
    pub(crate) async fn execute(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64> {
        let done = self.connection().execute_raw(statement(self.connection(), sql, values)).await?;
        Ok(done.rows_affected())
    }

    /// Inserts a row under a new id, which is filled in. If another process has claimed that id, the
    /// insert retries with a new id; only the final id is ever visible. A row whose id is already set,
    /// such as one that shares another row's id, is inserted under that.
    ///
    /// The row appears in the timelines of its owner's audience, if its entity has timelines. Its owner's
    /// row must exist, and can't be deleted until this transaction ends ([`Self::hold`]): nothing is
    /// written for an owner who is gone.
    ///
    /// # Errors
    /// Absent, if there is no such owner; internal, if the owner lives on another shard; conflict, if the
    /// row's own id or the value of a unique column is taken.
    pub async fn insert<A>(&self, row: A) -> Result<Id<A::Entity>>
    where
        A: ActiveModelTrait,
        A::Entity: Sharded,
    {
        let id_column = <A::Entity as Sharded>::ID;
        if let ActiveValue::Set(Value::BigInt(Some(id))) | ActiveValue::Unchanged(Value::BigInt(Some(id))) =
            row.get(id_column)
        {
            let id = Id::from_raw(id);
            return match self.insert_as(id, row).await? {
                true => Ok(id),
                false => Err(Error::conflict(format!("{} has a row {id} already", table::<A::Entity>()))),
            };
        }
        for _ in 0..MAX_ATTEMPTS {
            let id: Id<A::Entity> = self.generate_id()?;
            let mut row = row.clone();
            row.set(id_column, id.into());
            if self.insert_as(id, row).await? {
                return Ok(id);
            }
        }
        Err(self.every_id_taken())
    }

    async fn insert_as<E, A>(&self, id: Id<E>, row: A) -> Result<bool>
    where
        E: Sharded,
        A: ActiveModelTrait<Entity = E>,
    {
        let owner = match row.get(E::OWNER).into_value() {
            Some(Value::BigInt(Some(owner))) => owner,
            _ => return Err(Error::internal(format!("a new row of {} has no owner", table::<E>()))),
        };
        let owner_shard = Shard::of_id(owner);
        if owner_shard != self.shard() || id.shard() != self.shard() {
            return Err(Error::internal(format!(
                "a row of {} with its id on {} and its owner on {owner_shard} can't be written on {}",
                table::<E>(),
                id.shard(),
                self.shard()
            )));
        }
        let inserted = match E::ID.as_str() == E::OWNER.as_str() {
            true => self.insert_row(row, [E::ID]).await?,
            false => self.insert_owned(row, Id::from_raw(owner)).await?,
        };
        if inserted {
            self.holds(RowTable::of::<E>(), id.raw());
            // If the id was read before, its absence may be cached.
            self.row_changes(id);
            for observer in self.shards().observers::<E>() {
                observer.inserted(self.clone(), id, Id::from_raw(owner)).await?;
            }
        }
        Ok(inserted)
    }

    /// The row with this id, as this transaction sees it.
    ///
    /// # Errors
    /// Internal, if the row is on another shard; any database error.
    pub async fn find<E: Sharded>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>> {
        Ok(self.find_row(id, |row| row).await?.map(Unchecked::new))
    }

    /// The same, and locks the row until this transaction ends: no other may change or delete it.
    ///
    /// # Errors
    /// As for [`Self::find`].
    pub async fn find_for_update<E: Sharded>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>> {
        Ok(self.find_for_change(id).await?.map(Unchecked::new))
    }

    /// The row, locked. It is not locked against those who only need it to exist ([`Self::hold`]): two who
    /// hold it and then change it would wait for each other.
    pub(super) async fn find_for_change<E: Sharded>(&self, id: Id<E>) -> Result<Option<E::Model>> {
        let row = self.find_row(id, |rows| rows.lock(LockType::NoKeyUpdate)).await?;
        if row.is_some() {
            self.holds(RowTable::of::<E>(), id.raw());
        }
        Ok(row)
    }

    pub(super) async fn find_row<E: Sharded>(
        &self,
        id: Id<E>,
        with: impl FnOnce(Select<E>) -> Select<E>,
    ) -> Result<Option<E::Model>> {
        self.check_home(id)?;
        Ok(with(E::find().filter(E::ID.eq(id))).one(self.connection()).await?)
    }

    /// Deletes the row with this id, also from timelines; returns whether it existed. Its edges stay:
    /// see [`Self::delete_with_edges`].
    ///
    /// # Errors
    /// As for [`Self::update`].
    pub async fn delete<E: Sharded>(&self, id: Id<E>) -> Result<bool> {
        let observers = self.shards().observers::<E>();
        let row = match observers.is_empty() {
            true => None,
            false => match self.find_row(id, QuerySelect::lock_exclusive).await? {
                None => return Ok(false),
                row => row,
            },
        };
        self.check_home(id)?;
        let delete = E::delete_many().filter(E::ID.eq(id));
        let deleted = delete.exec(self.connection()).await?.rows_affected > 0;
        if deleted {
            self.row_changes(id);
            self.holds_no_more(RowTable::of::<E>(), id.raw());
        }
        if let Some(row) = row.filter(|_| deleted) {
            for observer in observers {
                observer.deleted(self.clone(), &row).await?;
            }
        }
        Ok(deleted)
    }

    /// Deletes the rows with these ids, as [`Self::delete`] does: with one statement, unless timelines or
    /// indexes have to learn of each.
    ///
    /// # Errors
    /// As for [`Self::update`].
    pub(crate) async fn delete_each<E: Sharded>(&self, ids: &[Id<E>]) -> Result<()> {
        if !self.shards().observers::<E>().is_empty() {
            for id in ids {
                self.delete(*id).await?;
            }
            return Ok(());
        }
        for id in ids {
            self.check_home(*id)?;
            self.row_changes(*id);
            self.holds_no_more(RowTable::of::<E>(), id.raw());
        }
        let delete = E::delete_many().filter(E::ID.is_in(ids.iter().copied()));
        delete.exec(self.connection()).await?;
        Ok(())
    }

    /// Reports that this transaction changes a value in one of the app's own cache regions or, with its
    /// own SQL, a cached row. Fills of it are blocked before the commit and unblocked after it.
    pub fn changes(&self, changed: Changed) {
        lock(&self.0.changed).push(changed);
    }

    pub(super) fn row_changes<E: Sharded>(&self, id: Id<E>) {
        if let Some(changed) = self.shards().changed_row(id) {
            self.changes(changed);
        }
    }

    pub(super) fn check_home<E: Sharded>(&self, id: Id<E>) -> Result<()> {
        if id.shard() == self.shard() {
            return Ok(());
        }
        Err(Error::internal(format!(
            "a row of {} on {} can't be written on {}",
            table::<E>(),
            id.shard(),
            self.shard()
        )))
    }

    pub(super) async fn insert_row<E, A>(
        &self,
        row: A,
        key: impl IntoIterator<Item = E::Column>,
    ) -> Result<bool>
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + IntoActiveModel<A>,
    {
        let inserted =
            E::insert(row).on_conflict_do_nothing_on(key).exec_without_returning(self.connection()).await?;
        Ok(matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0))
    }

    pub(super) fn every_id_taken(&self) -> Error {
        Error::internal(format!(
            "{MAX_ATTEMPTS} ids in a row were taken on {}: is a clock wrong?",
            self.shard()
        ))
    }

    /// Generates an id of this shard without claiming it, for ordering changes.
    ///
    /// # Errors
    /// As for [`crate::id::IdGenerator::generate`].
    pub fn generate_id<T>(&self) -> Result<Id<T>> {
        self.shards().generate_id(self.shard())
    }

    /// Runs `hook` after the commit, if there is one. [`super::Shards::write`] waits for it, but only
    /// for a short time. The hook is lost if the process ends, so it is for hints such as waking a
    /// worker, never for effects.
    pub fn after_commit(&self, hook: impl Future<Output = ()> + Send + 'static) {
        lock(&self.0.hooks).push(Box::pin(hook));
    }

    /// The rows that this transaction holds.
    pub(super) fn held(&self) -> MutexGuard<'_, HeldRows> {
        lock(&self.0.held)
    }

    /// Blocks cache fills of what was changed, and returns what is left to do after the commit.
    pub(super) async fn finish(self) -> Vec<Hook> {
        let mut hooks = std::mem::take(&mut *lock(&self.0.hooks));
        let changed = std::mem::take(&mut *lock(&self.0.changed));
        if !changed.is_empty() {
            let blocked = self.shards().cache().block_fills(changed).await;
            hooks.push(Box::pin(blocked.unblock_fills()));
        }
        hooks
    }
}

pub(super) fn table<E: EntityTrait>() -> &'static str {
    E::default().table_name()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|broken| broken.into_inner())
}
