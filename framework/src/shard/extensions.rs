//! Services that other modules add to transactions and reads: the queue, the graph, the timelines.
//!
//! `shard` imports none of them. Each registers itself with its shards, and adds its methods to
//! [`Tx`](super::Tx) and [`Read`](super::Read) in its own module.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::{Arc, RwLock, Weak};

use super::Shards;
use crate::error::{Error, Result};

type Service = Weak<dyn Any + Send + Sync>;

/// Services by type. They hold the shards, so the shards hold them weakly.
#[derive(Default)]
pub(super) struct Extensions(RwLock<HashMap<TypeId, Service>>);

impl Shards {
    /// Registers a service for the transactions and reads of these shards, for as long as it is held
    /// elsewhere. Replaces an earlier service of the same type.
    pub(crate) fn provide<T: Send + Sync + 'static>(&self, service: &Arc<T>) {
        let held: Arc<dyn Any + Send + Sync> = service.clone();
        let mut extensions = self.0.extensions.0.write().unwrap_or_else(|broken| broken.into_inner());
        extensions.insert(TypeId::of::<T>(), Arc::downgrade(&held));
    }

    /// The service of this type.
    ///
    /// # Errors
    /// Configuration: no service of this type was registered, or it has been closed.
    pub(crate) fn service<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        let extensions = self.0.extensions.0.read().unwrap_or_else(|broken| broken.into_inner());
        let held = extensions.get(&TypeId::of::<T>()).and_then(Weak::upgrade);
        held.and_then(|held| held.downcast().ok())
            .ok_or_else(|| Error::configuration(format!("there is no {} on these shards", type_name::<T>())))
    }
}
