//! A write transaction on one shard: opened through the fence, minting ids as it claims rows.

use std::sync::Mutex;

use futures::future::BoxFuture;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait,
    IntoActiveModel, QueryFilter, TryInsertResult, UpdateMany, Value,
};

use super::{Sharded, Shards, TextSharded};
use crate::cache::Changed;
use crate::db::statement;
use crate::error::{Error, Result};
use crate::id::{Id, Shard};

/// Ids tried before giving up. A second try means that another process minted the same id in the
/// same millisecond; ten in a row mean that something else is wrong.
const TRIES: usize = 10;

type Hook = BoxFuture<'static, ()>;

/// Whether a row was claimed now or was there before.
pub enum Claimed<E: Sharded> {
    /// Claimed now, under this id.
    New(Id<E>),
    /// A row was under the reserved id already.
    Before(E::Model),
}

/// A transaction on one shard. Everything written through it commits together.
pub struct Tx<'t> {
    transaction: &'t DatabaseTransaction,
    shard: Shard,
    shards: Shards,
    hooks: Mutex<Vec<Hook>>,
    changed: Mutex<Vec<Changed>>,
}

impl<'t> Tx<'t> {
    /// The fence: one round trip that asks the database whether it holds this shard, inside the
    /// transaction that relies on the answer.
    pub(super) async fn open(
        transaction: &'t DatabaseTransaction,
        shard: Shard,
        shards: Shards,
    ) -> Result<Self> {
        let sql = match transaction.get_database_backend() {
            DbBackend::Postgres => "SELECT tripod_fence($1)",
            // The one writer of a file is alone.
            _ => "SELECT state FROM tripod_shard WHERE shard = $1",
        };
        let fence = statement(transaction, sql, [Value::from(i32::from(shard.number()))]);
        let state: Option<String> = match transaction.query_one_raw(fence).await? {
            Some(row) => row.try_get_by_index(0)?,
            None => None,
        };
        if state.as_deref() != Some(super::map::ACTIVE) {
            return Err(Error::unavailable(format!(
                "{shard} is not held by this database (any more); try again"
            )));
        }
        Ok(Self { transaction, shard, shards, hooks: Mutex::default(), changed: Mutex::default() })
    }

    /// The shard that this transaction writes to.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The connection, for sea-orm's statements. They must be about rows of this shard.
    pub fn connection(&self) -> &'t DatabaseTransaction {
        self.transaction
    }

    /// Mints an id, claims a row under it, and mints again when another process was first. Only
    /// then is the id seen by anyone.
    ///
    /// # Errors
    /// Internal, when the row's owner lives on another shard; conflict, when a unique column of
    /// the row is taken.
    pub async fn insert_new<E, A>(&self, row: impl Fn(Id<E>) -> A) -> Result<Id<E>>
    where
        E: Sharded,
        A: ActiveModelTrait<Entity = E>,
    {
        for _ in 0..TRIES {
            let id = self.shards.mint(self.shard)?;
            if self.insert_as(id, row(id)).await? {
                return Ok(id);
            }
        }
        Err(self.every_id_taken())
    }

    /// Claims a row under the id reserved for it, or under a new one when there is none. When a row
    /// is under the reserved id already, that is what comes back: the effect of an earlier attempt
    /// (or, once in ages, another process's row; the caller sees whose it is).
    ///
    /// # Errors
    /// As [`Self::insert_new`].
    pub async fn claim<E, A>(&self, reserved: Option<Id<E>>, row: impl Fn(Id<E>) -> A) -> Result<Claimed<E>>
    where
        E: Sharded,
        A: ActiveModelTrait<Entity = E>,
    {
        let Some(id) = reserved else { return Ok(Claimed::New(self.insert_new(row).await?)) };
        if self.insert_as(id, row(id)).await? {
            return Ok(Claimed::New(id));
        }
        let there = E::find().filter(E::ID.eq(id)).one(self.transaction).await?;
        there.map(Claimed::Before).ok_or_else(|| Error::unavailable("a row vanished while it was looked at"))
    }

    async fn insert_as<E, A>(&self, id: Id<E>, row: A) -> Result<bool>
    where
        E: Sharded,
        A: ActiveModelTrait<Entity = E>,
    {
        let owner = match row.get(E::OWNER).into_value() {
            Some(Value::BigInt(Some(owner))) => Shard::of_id(owner),
            _ => {
                return Err(Error::internal(format!(
                    "a new row of {} has no owner",
                    E::default().table_name()
                )));
            }
        };
        if owner != self.shard || id.shard() != self.shard {
            return Err(Error::internal(format!(
                "a row of {} with its id on {} and its owner on {owner} can't be written on {}",
                E::default().table_name(),
                id.shard(),
                self.shard
            )));
        }
        let inserted = self.insert_row(row, [E::ID]).await?;
        if inserted {
            // Somebody may have asked for the id before, and that there is no such row is cached, too.
            self.row_changes(id);
        }
        Ok(inserted)
    }

    /// Changes the row of this id as `change` says; tells whether it was there and fitted what
    /// `change` filters by.
    ///
    /// # Errors
    /// Internal, when the row is on another shard; those of the database.
    pub async fn update<E: Sharded>(
        &self,
        id: Id<E>,
        change: impl FnOnce(UpdateMany<E>) -> UpdateMany<E>,
    ) -> Result<bool> {
        self.check_home(id)?;
        let update = change(E::update_many().filter(E::ID.eq(id)));
        let updated = update.exec(self.transaction).await?.rows_affected > 0;
        if updated {
            self.row_changes(id);
        }
        Ok(updated)
    }

    /// Deletes the row of this id; tells whether it was there.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub async fn delete<E: Sharded>(&self, id: Id<E>) -> Result<bool> {
        self.check_home(id)?;
        let delete = E::delete_many().filter(E::ID.eq(id));
        let deleted = delete.exec(self.transaction).await?.rows_affected > 0;
        if deleted {
            self.row_changes(id);
        }
        Ok(deleted)
    }

    /// Says that this transaction changes a value of an app's own region of the cache, or, by SQL of
    /// its own, a row that is cached. Barred before the commit, admitted after it.
    pub fn changes(&self, changed: Changed) {
        self.changed.lock().unwrap_or_else(|broken| broken.into_inner()).push(changed);
    }

    fn row_changes<E: Sharded>(&self, id: Id<E>) {
        if let Some(changed) = self.shards.changed_row(id) {
            self.changes(changed);
        }
    }

    fn check_home<E: Sharded>(&self, id: Id<E>) -> Result<()> {
        if id.shard() == self.shard {
            return Ok(());
        }
        let table = E::default();
        Err(Error::internal(format!(
            "a row of {} on {} can't be written on {}",
            table.table_name(),
            id.shard(),
            self.shard
        )))
    }

    /// Claims a text, such as a name, with the row that says whose it is; `false` when it is taken.
    /// The row's shard and text are filled in.
    ///
    /// # Errors
    /// Internal, when the text belongs to another shard.
    pub async fn claim_text<E, A>(&self, text: &str, mut row: A) -> Result<bool>
    where
        E: TextSharded,
        A: ActiveModelTrait<Entity = E> + IntoActiveModel<A>,
    {
        let table = E::default();
        let shard = E::shard(text);
        if shard != self.shard {
            return Err(Error::internal(format!(
                "the text {text:?} of {} belongs to {shard} and can't be claimed on {}",
                table.table_name(),
                self.shard
            )));
        }
        // A shard's number is below 8,192.
        row.set(E::SHARD, (shard.number() as i16).into());
        row.set(E::TEXT, text.into());
        self.insert_row(row, [E::SHARD, E::TEXT]).await
    }

    async fn insert_row<E, A>(&self, row: A, key: impl IntoIterator<Item = E::Column>) -> Result<bool>
    where
        E: EntityTrait,
        A: ActiveModelTrait<Entity = E> + IntoActiveModel<A>,
    {
        let inserted =
            E::insert(row).on_conflict_do_nothing_on(key).exec_without_returning(self.transaction).await?;
        Ok(matches!(inserted, TryInsertResult::Inserted(rows) if rows > 0))
    }

    /// As [`Self::insert_new`], for the framework's own tables: `sql` inserts a row whose primary
    /// key is the column `id`, and whose values `row` gives for an id.
    pub(crate) async fn claim_id<T>(&self, sql: &str, row: impl Fn(Id<T>) -> Vec<Value>) -> Result<Id<T>> {
        let sql = format!("{sql} ON CONFLICT (id) DO NOTHING");
        for _ in 0..TRIES {
            let id = self.shards.mint(self.shard)?;
            let insert = statement(self.transaction, &sql, row(id));
            if self.transaction.execute_raw(insert).await?.rows_affected() == 1 {
                return Ok(id);
            }
        }
        Err(self.every_id_taken())
    }

    fn every_id_taken(&self) -> Error {
        Error::internal(format!("{TRIES} ids in a row were taken on {}: is a clock wrong?", self.shard))
    }

    /// Mints an id of this shard without claiming it: for what only orders changes.
    ///
    /// # Errors
    /// Those of [`crate::id::Minter::mint`].
    pub fn mint<T>(&self) -> Result<Id<T>> {
        self.shards.mint(self.shard)
    }

    /// Runs `hook` after the commit, if there is one, and before [`super::Shards::write`] returns,
    /// unless it takes longer than hints may. It is lost when the process ends, so it is for hints
    /// such as waking a worker, never for effects.
    pub fn after_commit(&self, hook: impl Future<Output = ()> + Send + 'static) {
        self.hooks.lock().unwrap_or_else(|broken| broken.into_inner()).push(Box::pin(hook));
    }

    /// What is left to do after the commit; before it, what is changed is barred.
    pub(super) async fn finish(self) -> Vec<Hook> {
        let mut hooks = self.hooks.into_inner().unwrap_or_else(|broken| broken.into_inner());
        let changed = self.changed.into_inner().unwrap_or_else(|broken| broken.into_inner());
        if !changed.is_empty() {
            let barred = self.shards.cache().bar(changed).await;
            hooks.push(Box::pin(barred.admit()));
        }
        hooks
    }
}
