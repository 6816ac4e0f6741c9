//! Keeping an index in step with its rows: who observes them, and the job that commits with a change.

use std::marker::PhantomData;

use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};

use super::Indexes;
use super::kind::{Index, IndexKind, Keys, keys};
use super::table::{self, Entry};
use crate::error::{BoxError, Error, Result};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Observed, RowObserver, Sharded, Tx};

/// How often a row may change while a job brings its entries up to date, before the job is tried again later.
const MOST_CHANGES: usize = 10;

/// Makes the entries of the keys of a row that have changed match the row.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpdateIndex {
    index: String,
    row: i64,
    keys: Keys,
}

impl Job for UpdateIndex {
    const NAME: &'static str = "tripod.update_index";
    const RETRIES: u32 = 20;
}

impl<C: AsRef<Indexes> + Send + Sync + 'static> Run<C> for UpdateIndex {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        let indexes = context.as_ref();
        let kind = indexes.kind(&self.index)?;
        Ok(indexes.bring_up_to_date(kind, self.row, &self.keys).await?)
    }
}

impl Indexes {
    /// Makes the entries of these keys match the row. Of those who do this at the same time, the last to
    /// write reads the row afterwards and finds it as it wrote it, so all end with the row's current state.
    pub(super) async fn bring_up_to_date(&self, kind: &IndexKind, row: i64, keys: &Keys) -> Result<()> {
        let mut current = self.keys_now(kind, row).await?;
        for _ in 0..MOST_CHANGES {
            let wanted = current.clone();
            let entry = |key: &String| Entry { shard: kind.place(key), key: key.clone(), row };
            let entries = keys.iter().map(|key| (entry(key), wanted.contains(key)));
            table::write(&self.0.shards, kind.name, entries).await?;
            current = self.keys_now(kind, row).await?;
            if keys.iter().all(|key| current.contains(key) == wanted.contains(key)) {
                return Ok(());
            }
        }
        Err(Error::unavailable(format!("the row {row} changes faster than the index {:?}", kind.name)))
    }

    async fn keys_now(&self, kind: &IndexKind, row: i64) -> Result<Keys> {
        Ok((kind.keys_of)(self.0.shards.clone(), vec![row]).await?.remove(&row).unwrap_or_default())
    }
}

/// Observes the rows of an index.
pub(super) struct IndexObserver<I>(PhantomData<fn() -> I>);

impl<I: Index> IndexObserver<I> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

async fn enqueue<I: Index>(tx: Tx, row: i64, keys: Keys) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    tx.enqueue(UpdateIndex { index: I::NAME.to_owned(), row, keys }).await.map(drop)
}

impl<I: Index> RowObserver<I::Rows> for IndexObserver<I> {
    fn inserted(&self, tx: Tx, id: Id<I::Rows>, _: Id<<I::Rows as Sharded>::Owner>) -> Observed {
        Box::pin(async move {
            // As the database has it: with the values that it has filled in.
            let keys = tx.find(id).await?.map(|row| keys::<I>(row.peek())).unwrap_or_default();
            enqueue::<I>(tx, id.raw(), keys).await
        })
    }

    fn deleted(&self, tx: Tx, row: &<I::Rows as EntityTrait>::Model) -> Observed {
        Box::pin(enqueue::<I>(tx, I::Rows::id(row).raw(), keys::<I>(row)))
    }

    fn observes_changes(&self) -> bool {
        true
    }

    fn changed(
        &self,
        tx: Tx,
        before: &<I::Rows as EntityTrait>::Model,
        after: &<I::Rows as EntityTrait>::Model,
    ) -> Observed {
        let changed = keys::<I>(before).symmetric_difference(&keys::<I>(after)).cloned().collect();
        Box::pin(enqueue::<I>(tx, I::Rows::id(after).raw(), changed))
    }
}
