//! Watchers: notified of an entity's rows in the transaction that inserts or deletes them.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use futures::future::BoxFuture;

use super::{Sharded, Shards, Tx};
use crate::error::Result;

/// Notified of rows, by their ids and their owners' ids. Its writes commit with the row; its error
/// undoes both.
pub(crate) trait Watcher: Send + Sync {
    /// Called after a row is inserted.
    fn inserted<'t>(&'t self, tx: &'t Tx, id: i64, owner: i64) -> BoxFuture<'t, Result<()>>;
    /// Called after a row is deleted.
    fn deleted<'t>(&'t self, tx: &'t Tx, id: i64, owner: i64) -> BoxFuture<'t, Result<()>>;
}

/// The watchers, by the entity that they watch.
#[derive(Default)]
pub(super) struct Watchers(RwLock<HashMap<TypeId, Vec<Arc<dyn Watcher>>>>);

impl Shards {
    /// Notifies `watcher` of the rows of this entity from now on.
    pub(crate) fn watch<E: Sharded>(&self, watcher: Arc<dyn Watcher>) {
        let mut watchers = self.0.watchers.0.write().unwrap_or_else(|broken| broken.into_inner());
        watchers.entry(TypeId::of::<E>()).or_default().push(watcher);
    }

    pub(super) fn watchers<E: Sharded>(&self) -> Vec<Arc<dyn Watcher>> {
        let watchers = self.0.watchers.0.read().unwrap_or_else(|broken| broken.into_inner());
        watchers.get(&TypeId::of::<E>()).cloned().unwrap_or_default()
    }
}
