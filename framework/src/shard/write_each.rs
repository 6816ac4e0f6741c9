//! Write transactions on several shards of one database, for writers that share a commit.

use std::collections::BTreeMap;

use sea_orm::DbBackend;

use super::map::ACTIVE;
use super::tx::Hook;
use super::{Shards, Tx, run_hooks};
use crate::error::{Error, Result};
use crate::id::Shard;

impl Shards {
    /// As [`Self::write`], on several shards in one transaction of the database at this place in
    /// [`Self::databases`]. `work` receives the transaction once for each shard that passed the fence: a shard
    /// that the database does not hold (any more) is left out.
    ///
    /// # Errors
    /// The errors of `work` and of the database.
    pub(crate) async fn write_each<R, F, Done>(
        &self,
        database: usize,
        shards: Vec<Shard>,
        work: F,
    ) -> Result<R>
    where
        F: FnOnce(BTreeMap<Shard, Tx>) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        let (result, hooks) = self.commit_each(database, shards, work).await?;
        run_hooks(hooks).await;
        Ok(result)
    }

    /// As [`Self::write_each`], and leaves the hooks of the commit to the caller.
    pub(super) async fn commit_each<R, F, Done>(
        &self,
        database: usize,
        mut shards: Vec<Shard>,
        work: F,
    ) -> Result<(R, Vec<Hook>)>
    where
        F: FnOnce(BTreeMap<Shard, Tx>) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        // In one order, as a move that takes a lock exclusively waits for them.
        shards.sort_unstable();
        shards.dedup();
        let (this, database) = (self.clone(), &self.0.databases[database]);
        let fence = fence(database.backend(), &shards);
        database
            .write_after(fence, move |transaction, active| async move {
                let mut passed = BTreeMap::new();
                let mut first: Option<Tx> = None;
                for shard in active_shards(active)? {
                    let tx = match &first {
                        Some(first) => first.to(shard),
                        None => first.insert(Tx::on(transaction.clone(), shard, this.clone())).clone(),
                    };
                    passed.insert(shard, tx);
                }
                let result = work(passed).await?;
                let hooks = match first {
                    Some(tx) => tx.finish().await,
                    None => Vec::new(),
                };
                Ok((result, hooks))
            })
            .await
    }
}

/// The fence of several shards: takes their locks, and then reads which of them are active, in a separate
/// statement and so in a new snapshot.
fn fence(backend: DbBackend, shards: &[Shard]) -> String {
    let numbers: Vec<String> = shards.iter().map(|shard| shard.number().to_string()).collect();
    let numbers = numbers.join(",");
    let held = format!("FROM tripod_shard WHERE state = '{ACTIVE}' AND shard IN ({numbers})");
    match backend {
        DbBackend::Postgres => format!(
            "SELECT count(pg_advisory_xact_lock_shared(1953655142, shard)) FROM unnest(ARRAY[{numbers}]) AS shard; \
             SELECT string_agg(CAST(shard AS text), ' ') {held}"
        ),
        // A SQLite file has one writer, so no lock is needed.
        _ => format!("SELECT group_concat(shard, ' ') {held}"),
    }
}

fn active_shards(active: Option<String>) -> Result<Vec<Shard>> {
    let numbers = active.unwrap_or_default();
    let shards = numbers.split_whitespace().map(|number| match number.parse() {
        Ok(number) => Shard::new(number),
        Err(_) => Err(Error::internal(format!("a database names the shard {number:?}"))),
    });
    shards.collect()
}
