//! The job that deletes the rows of a deleted owner, such as the comments on a post.

use std::collections::HashMap;
use std::sync::RwLock;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};

use super::{Graph, table};
use crate::error::{BoxError, Error, Result};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::{Sharded, Tx};

/// Rows deleted per transaction.
const PAGE: u64 = 200;

/// Deletes rows of an owner, and returns whether there may be more.
type DeleteSome = fn(Tx, i64) -> BoxFuture<'static, Result<bool>>;

/// The entities whose rows live with an owner, by their tables.
#[derive(Default)]
pub(super) struct OwnedEntities(RwLock<HashMap<&'static str, DeleteSome>>);

impl OwnedEntities {
    fn get(&self, table: &str) -> Result<DeleteSome> {
        let entities = self.0.read().unwrap_or_else(|broken| broken.into_inner());
        entities.get(table).copied().ok_or_else(|| {
            Error::configuration(format!(
                "no entity of the table {table:?} is registered: add it to the app with .entity::<...>()"
            ))
        })
    }
}

/// Deletes every row of an entity that lives with an owner.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeleteOwned {
    table: String,
    owner: i64,
}

impl Job for DeleteOwned {
    const NAME: &'static str = "tripod.delete_owned";
    const RETRIES: u32 = 20;
}

impl<C: AsRef<Graph> + Send + Sync + 'static> Run<C> for DeleteOwned {
    async fn run(&mut self, context: &C, _: &JobRun) -> Result<(), BoxError> {
        let (graph, owner) = (context.as_ref(), self.owner);
        let delete_some = graph.owned().get(&self.table)?;
        // What is left is looked up anew each time, so a repeated run simply continues.
        let shard = Id::<()>::from_raw(owner);
        while graph.shards().write(shard, move |tx| delete_some(tx, owner)).await? {}
        Ok(())
    }
}

impl Graph {
    /// Lets [`Tx::delete_owned`] delete rows of this entity. `has_edges`: whether it is at an end of any
    /// kind of edge.
    pub(crate) fn add_owned<E: Sharded>(&self, has_edges: bool) {
        let delete: DeleteSome = match has_edges {
            true => |tx, owner| delete_some::<E>(tx, Id::from_raw(owner), true).boxed(),
            false => |tx, owner| delete_some::<E>(tx, Id::from_raw(owner), false).boxed(),
        };
        let mut entities = self.owned().0.write().unwrap_or_else(|broken| broken.into_inner());
        entities.insert(E::default().table_name(), delete);
    }
}

async fn delete_some<E: Sharded>(tx: Tx, owner: Id<E::Owner>, has_edges: bool) -> Result<bool> {
    let some = E::find().select_only().column(E::ID).filter(E::OWNER.eq(owner)).limit(PAGE);
    let ids: Vec<Id<E>> = some.into_tuple().all(tx.connection()).await?;
    tx.delete_each(&ids).await?;
    if has_edges {
        for id in &ids {
            if table::has_edges(&tx, id.raw()).await? {
                tx.remove_edges(*id).await?;
            }
        }
    }
    Ok(ids.len() as u64 == PAGE)
}

impl Tx {
    /// Enqueues a job that deletes every row of this entity that lives with `owner`, with its edges.
    /// Call it when the owner is deleted, and hide its rows from then on: they are there until the job
    /// has run. No row can be inserted later ([`Self::insert`]).
    ///
    /// ```
    /// # use tripod::conformance::{author, note};
    /// # async fn f(app: tripod::App, leaving: tripod::id::Id<author::Entity>) -> tripod::Result<()> {
    /// app.write(leaving, move |tx| async move {
    ///     tx.delete_with_edges(leaving).await?;
    ///     tx.delete_owned::<note::Entity>(leaving).await
    /// })
    /// .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Configuration, if the entity is not registered; internal, if `owner` lives on another shard; those
    /// of [`Self::enqueue`].
    pub async fn delete_owned<E: Sharded>(&self, owner: Id<E::Owner>) -> Result<()> {
        let table = E::default().table_name();
        Graph::of(self.shards())?.owned().get(table)?;
        if owner.shard() != self.shard() {
            return Err(Error::internal(format!(
                "the rows of {table:?} with an owner on {} can't be deleted from {}",
                owner.shard(),
                self.shard()
            )));
        }
        self.enqueue(DeleteOwned { table: table.to_owned(), owner: owner.raw() }).await.map(drop)
    }
}
