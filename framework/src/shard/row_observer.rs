//! Observers: notified of an entity's rows in the transaction that inserts or deletes them.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use futures::future::BoxFuture;

use super::{Sharded, Shards, Tx};
use crate::error::Result;

/// Notified of rows, by their ids and their owners' ids. Its writes commit with the row; its error
/// undoes both.
pub(crate) trait RowObserver: Send + Sync {
    /// Called after a row is inserted.
    fn inserted<'t>(&'t self, tx: &'t Tx, id: i64, owner: i64) -> BoxFuture<'t, Result<()>>;
    /// Called after a row is deleted.
    fn deleted<'t>(&'t self, tx: &'t Tx, id: i64, owner: i64) -> BoxFuture<'t, Result<()>>;
}

/// The observers, by the entity that they observe.
#[derive(Default)]
pub(super) struct RowObservers(RwLock<HashMap<TypeId, Vec<Arc<dyn RowObserver>>>>);

impl Shards {
    /// Notifies `observer` of the rows of this entity from now on.
    pub(crate) fn observe<E: Sharded>(&self, observer: Arc<dyn RowObserver>) {
        let mut observers = self.0.observers.0.write().unwrap_or_else(|broken| broken.into_inner());
        observers.entry(TypeId::of::<E>()).or_default().push(observer);
    }

    pub(super) fn observers<E: Sharded>(&self) -> Vec<Arc<dyn RowObserver>> {
        let observers = self.0.observers.0.read().unwrap_or_else(|broken| broken.into_inner());
        observers.get(&TypeId::of::<E>()).cloned().unwrap_or_default()
    }
}
