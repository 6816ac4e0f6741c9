//! Observers: notified of an entity's rows in the transaction that inserts, changes or deletes them.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use futures::future::BoxFuture;

use super::{Sharded, Shards, Tx};
use crate::error::Result;
use crate::id::Id;

/// What an observer does about a change. It holds no reference to a row, because sea-orm's models need not
/// be `Sync`.
pub(crate) type Observed = BoxFuture<'static, Result<()>>;

/// Notified of the rows of an entity. Its writes commit with the row; its error undoes both.
pub(crate) trait RowObserver<E: Sharded>: Send + Sync {
    /// Called after a row is inserted.
    fn inserted(&self, tx: Tx, id: Id<E>, owner: Id<E::Owner>) -> Observed;

    /// Called after a row is deleted.
    fn deleted(&self, tx: Tx, row: &E::Model) -> Observed;

    /// Whether it observes changes: rows that are changed by expressions are then read before and after.
    fn observes_changes(&self) -> bool {
        false
    }

    /// Called after a row is changed, if it observes changes.
    fn changed(&self, _: Tx, _before: &E::Model, _after: &E::Model) -> Observed {
        Box::pin(async { Ok(()) })
    }
}

/// The observers of an entity.
pub(super) type Observers<E> = Vec<Arc<dyn RowObserver<E>>>;

/// The observers, by the entity that they observe; each value is an [`Observers`].
#[derive(Default)]
pub(super) struct RowObservers(RwLock<HashMap<TypeId, Box<dyn Any + Send + Sync>>>);

impl Shards {
    /// Notifies `observer` of the rows of this entity from now on.
    pub(crate) fn observe<E: Sharded>(&self, observer: Arc<dyn RowObserver<E>>) {
        let mut observers = self.0.observers.0.write().unwrap_or_else(|broken| broken.into_inner());
        let of_entity = observers.entry(TypeId::of::<E>()).or_insert_with(|| Box::new(Observers::<E>::new()));
        if let Some(of_entity) = of_entity.downcast_mut::<Observers<E>>() {
            of_entity.push(observer);
        }
    }

    pub(super) fn observers<E: Sharded>(&self) -> Observers<E> {
        let observers = self.0.observers.0.read().unwrap_or_else(|broken| broken.into_inner());
        let of_entity = observers.get(&TypeId::of::<E>()).and_then(|of_entity| of_entity.downcast_ref());
        of_entity.cloned().unwrap_or_default()
    }
}
