//! Rows read through the cache, with a function that loads them from their databases.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use futures::future::{BoxFuture, join_all};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::{Sharded, Shards};
use crate::access::Row;
use crate::cache::{Batch, Cached, Changed, Region};
use crate::error::{Error, Result};
use crate::id::Id;

/// The entities whose rows are cached.
#[derive(Default)]
pub(super) struct CachedEntities(RwLock<HashMap<TypeId, Entry>>);

struct Entry {
    /// An `Arc<dyn RowCache<Model>>`.
    cache: Box<dyn Any + Send + Sync>,
    changed: Arc<dyn Fn(i64) -> Changed + Send + Sync>,
}

type Found<M> = Result<Option<Arc<Row<M>>>>;

/// The cached rows of one entity: a region, without its trait bounds on values.
pub(super) trait RowCache<M>: Send + Sync {
    fn get(&self, id: i64) -> BoxFuture<'_, Found<M>>;
    fn get_each<'a>(&'a self, ids: &'a [i64]) -> BoxFuture<'a, Vec<Found<M>>>;
}

impl<M: Cached> RowCache<M> for Region<Row<M>> {
    fn get(&self, id: i64) -> BoxFuture<'_, Found<M>> {
        Box::pin(Self::get(self, id))
    }

    fn get_each<'a>(&'a self, ids: &'a [i64]) -> BoxFuture<'a, Vec<Found<M>>> {
        Box::pin(Self::get_each(self, ids))
    }
}

impl Shards {
    /// Reads the rows of this entity through the cache from now on, and notifies it of every change made
    /// with [`super::Tx`]. Call it at start, in each process that writes these rows.
    ///
    /// # Panics
    /// If another cached entity has the same name.
    pub fn cache_rows<E>(&self)
    where
        E: Sharded,
        E::Model: Cached,
    {
        let shards = self.downgrade();
        let region = Region::of_cached(self.cache(), move |ids| {
            let shards = shards.upgrade().map(Shards);
            async move {
                match shards {
                    Some(shards) => shards.load_rows::<E>(ids).await,
                    None => {
                        let found = Err(Error::unavailable("the databases have been closed"));
                        vec![Batch { asked: ids, found }]
                    }
                }
            }
        });
        let named = region.clone();
        let cache: Arc<dyn RowCache<E::Model>> = Arc::new(region);
        let entry = Entry { cache: Box::new(cache), changed: Arc::new(move |id| named.changed(id)) };
        self.0.cached.0.write().unwrap_or_else(|broken| broken.into_inner()).insert(TypeId::of::<E>(), entry);
    }

    /// The row cache of this entity, if its rows are cached.
    pub(super) fn row_cache<E: EntityTrait>(&self) -> Option<Arc<dyn RowCache<E::Model>>> {
        let cached = self.0.cached.0.read().unwrap_or_else(|broken| broken.into_inner());
        cached.get(&TypeId::of::<E>())?.cache.downcast_ref().cloned()
    }

    /// The cache change for this row; `None` if its entity is not cached.
    pub(super) fn changed_row<E: EntityTrait>(&self, id: Id<E>) -> Option<Changed> {
        let cached = self.0.cached.0.read().unwrap_or_else(|broken| broken.into_inner());
        let changed = cached.get(&TypeId::of::<E>())?.changed.clone();
        Some(changed(id.raw()))
    }

    /// Loads rows with one query per physical database, all concurrently.
    async fn load_rows<E: Sharded>(&self, ids: Vec<i64>) -> Vec<Batch<Row<E::Model>>> {
        let ids: Vec<Id<E>> = ids.into_iter().map(Id::from_raw).collect();
        let queries = self.by_database(&ids).into_iter().map(async |(database, ids)| {
            let rows = E::find().filter(E::ID.is_in(ids.iter().copied())).all(database.reader()).await;
            let found = rows
                .map(|rows| rows.into_iter().map(|row| (E::id(&row).raw(), Row::new(row))).collect())
                .map_err(Error::from);
            Batch { asked: super::read::distinct(&ids), found }
        });
        join_all(queries).await
    }
}
