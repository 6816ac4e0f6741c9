//! Write transactions on a server: each on a connection of its own, at the same time as others.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionTrait};
use tokio::sync::Semaphore;

use super::WORK_DEADLINE;
use super::availability::Availability;
use crate::error::{Error, Result, is_broken};

/// Writes to one database that run or wait for a connection; one more is refused.
const WRITES: usize = 1024;

/// A handle on the pool, for writing.
#[derive(Clone, Debug)]
pub(super) struct Pooled(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    pool: DatabaseConnection,
    server: Availability,
    places: Arc<Semaphore>,
}

impl Pooled {
    pub(super) fn new(name: &str, pool: DatabaseConnection, server: Availability) -> Self {
        Self(Arc::new(Inner {
            name: name.to_owned(),
            pool,
            server,
            places: Arc::new(Semaphore::new(WRITES)),
        }))
    }

    pub(super) async fn write<R, E, F>(&self, work: F) -> Result<R, E>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<R, E>> + Send + 'static,
        R: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let name = &self.0.name;
        let place = self
            .0
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| Error::overloaded(format!("too many writes wait for {name}; try again")))?;
        let this = self.clone();
        // A task of its own: it goes on though its caller is gone.
        let task = tokio::spawn(async move {
            let result = AssertUnwindSafe(this.run(work)).catch_unwind().await;
            drop(place);
            result
        });
        match task.await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal(format!("a write to {name} panicked and was undone")).into()),
            Err(_) => Err(Error::unavailable(format!("the process ended before {name} answered")).into()),
        }
    }

    async fn run<R, E, F>(&self, work: F) -> Result<R, E>
    where
        F: for<'t> FnOnce(&'t DatabaseTransaction) -> BoxFuture<'t, Result<R, E>>,
        E: From<Error>,
    {
        let Inner { name, server, .. } = &*self.0;
        let transaction = self.begin().await?;
        let result = match server.bounded(WORK_DEADLINE, work(&transaction)).await {
            Ok(Ok(result)) => result,
            Ok(Err(error)) => {
                // Its failure may be the connection's, which rolling back tells.
                if let Err(failed) = server.guard(transaction.rollback()).await {
                    tracing::debug!(database = %name, error = %failed, "a write was undone by the end of its connection");
                }
                return Err(error);
            }
            Err(why) => {
                return Err(Error::unavailable(format!("a write to {name} was undone")).because(why).into());
            }
        };
        match server.guard(transaction.commit()).await {
            Ok(()) => Ok(result),
            // Also when it was given up waiting for: the server may have committed since.
            Err(error) if is_broken(&error) || matches!(error, DbErr::Conn(_)) => Err(Error::unconfirmed(
                format!("{name} went away while it committed: it is not known whether anything was changed"),
            )
            .because(error)
            .into()),
            Err(error) => Err(Error::from(error).into()),
        }
    }

    /// Nothing has been done yet, so a connection that turns out to be dead is worth another.
    async fn begin(&self) -> Result<DatabaseTransaction> {
        let Inner { pool, server, .. } = &*self.0;
        match server.guard(pool.begin()).await {
            Err(error) if server.is_worth_repeating(&error) => Ok(server.guard(pool.begin()).await?),
            begun => Ok(begun?),
        }
    }
}
