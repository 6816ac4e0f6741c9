//! Rows read through the cache, which is handed how to read them from their databases.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, RwLock};

use futures::future::join_all;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::reachable::in_part;
use super::{Reachable, Sharded, Shards};
use crate::access::Unchecked;
use crate::cache::{Batch, Cached, Changed, Policy, Region};
use crate::error::{Error, Result};
use crate::id::Id;

/// The entities whose rows are cached, with their regions.
#[derive(Default)]
pub(super) struct CachedRows(RwLock<HashMap<TypeId, Rows>>);

struct Rows {
    /// A `Region` of the entity's model.
    region: Arc<dyn Any + Send + Sync>,
    changed: Arc<dyn Fn(i64) -> Changed + Send + Sync>,
}

impl Shards {
    /// From now on the rows of this entity may be read through the cache, and every change of one made
    /// with [`super::Tx`] is told to it. To be called at start, by each process that writes them.
    ///
    /// # Panics
    /// When the entity's name is that of another cached one.
    pub fn cache_rows<E>(&self)
    where
        E: Sharded,
        E::Model: Cached,
    {
        let shards = self.downgrade();
        let region = Region::new(self.cache(), Policy::of::<E::Model>(), move |ids| {
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
        let rows = Rows { region: Arc::new(region), changed: Arc::new(move |id| named.changed(id)) };
        self.0.cached.0.write().unwrap_or_else(|broken| broken.into_inner()).insert(TypeId::of::<E>(), rows);
    }

    /// The row of this id, from the cache or else its database: as it was at most 100 ms ago, and with
    /// all that this process has written.
    ///
    /// # Errors
    /// Those of its database; configuration, when the entity is not said to be cached.
    pub async fn get<E>(&self, id: Id<E>) -> Result<Option<Unchecked<E::Model>>>
    where
        E: Sharded,
        E::Model: Cached,
    {
        Ok(self.region::<E>()?.get(id.raw()).await?.map(Unchecked::shared))
    }

    /// The rows of these ids, in their order; ids without a row are left out. See [`Self::get`].
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_many<E>(&self, ids: &[Id<E>]) -> Result<Vec<Unchecked<E::Model>>>
    where
        E: Sharded,
        E::Model: Cached,
    {
        let rows = self.region::<E>()?.get_many(&raw(ids)).await?;
        Ok(rows.into_iter().flatten().map(Unchecked::shared).collect())
    }

    /// What a change of this row is to the cache; nothing when its entity is not cached.
    pub(super) fn changed_row<E: EntityTrait>(&self, id: Id<E>) -> Option<Changed> {
        let rows = self.0.cached.0.read().unwrap_or_else(|broken| broken.into_inner());
        let changed = rows.get(&TypeId::of::<E>())?.changed.clone();
        Some(changed(id.raw()))
    }

    fn region<E>(&self) -> Result<Arc<Region<E::Model>>>
    where
        E: Sharded,
        E::Model: Cached,
    {
        let rows = self.0.cached.0.read().unwrap_or_else(|broken| broken.into_inner());
        let region = rows.get(&TypeId::of::<E>()).map(|rows| rows.region.clone());
        region.and_then(|region| region.downcast().ok()).ok_or_else(|| {
            Error::configuration(format!(
                "the rows of {} are not said to be cached: add its entity to the app with .cached::<...>()",
                E::default().table_name()
            ))
        })
    }

    /// One query a physical database, all at once.
    async fn load_rows<E: Sharded>(&self, ids: Vec<i64>) -> Vec<Batch<E::Model>> {
        let ids: Vec<Id<E>> = ids.into_iter().map(Id::from_raw).collect();
        let queries = self.by_database(&ids).into_iter().map(async |(database, ids)| {
            let rows = E::find().filter(E::ID.is_in(ids.iter().copied())).all(database.reader()).await;
            let found = rows
                .map(|rows| rows.into_iter().map(|row| (E::id(&row).raw(), row)).collect())
                .map_err(Error::from);
            Batch { asked: raw(&ids), found }
        });
        join_all(queries).await
    }
}

impl Reachable<'_> {
    /// As [`Shards::get_many`].
    ///
    /// # Errors
    /// As [`Reachable::find_many`]; rows that the cache has are given whether or not their database
    /// answers.
    pub async fn get_many<E>(&self, ids: &[Id<E>]) -> Result<Vec<Unchecked<E::Model>>>
    where
        E: Sharded,
        E::Model: Cached,
    {
        let rows = in_part(self.0.region::<E>()?.get_each(&raw(ids)).await)?;
        Ok(rows.into_iter().flatten().map(Unchecked::shared).collect())
    }
}

/// Each id once: what is asked of a database or of the cache.
fn raw<E>(ids: &[Id<E>]) -> Vec<i64> {
    let mut seen = HashSet::with_capacity(ids.len());
    ids.iter().map(|id| id.raw()).filter(|id| seen.insert(*id)).collect()
}
