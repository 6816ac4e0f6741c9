//! The connection to Redis: dropped at the first error that shows it is lost, and re-established by one
//! task.
//!
//! Without a connection, calls fail at once: an app without Redis is a little slower, not stuck.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock, RwLockReadGuard, Weak};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ErrorKind, Pipeline, RedisError, RedisFuture, RedisResult,
    ServerErrorKind, Value,
};

use super::address::{Address, CONNECT_TIMEOUT, RESPONSE_TIMEOUT, Topology};
use super::health::{self, HealthError};
use crate::error::{Error, Result};

/// The pause between two health checks, or attempts to reconnect.
const HEALTH_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// A check that takes longer has failed.
const HEALTH_CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Holds the connection, if there is one.
pub(super) struct ConnectionManager {
    address: Address,
    live: RwLock<Option<LiveConnection>>,
    connections: AtomicU64,
}

#[derive(Clone)]
pub(super) struct LiveConnection {
    pub(super) connection: Connection,
    /// Distinguishes this connection from earlier and later ones.
    number: u64,
    /// The address of the server, if it can change.
    server: Option<String>,
    /// Identifies the server, with 16 hexadecimal digits.
    pub(super) identity: Arc<str>,
}

/// A connection to a single server or to a cluster.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

impl ConnectionManager {
    /// Connects, and keeps the connection alive from then on.
    pub(super) async fn open(address: Address) -> Result<Arc<Self>> {
        let manager = Arc::new(Self { address, live: RwLock::default(), connections: AtomicU64::new(0) });
        let redacted = &manager.address.redacted;
        let live = match tokio::time::timeout(HEALTH_CHECK_TIMEOUT, manager.connect()).await {
            Ok(Ok(live)) => live,
            Ok(Err(HealthError::Unsuitable(why))) => {
                return Err(Error::configuration(format!("the Redis at {redacted} can't be used: {why}")));
            }
            failed => {
                let error = Error::configuration(format!(
                    "no Redis answers at {redacted}: start it, or correct redis (TRIPOD_REDIS)"
                ));
                return Err(match failed {
                    Ok(Err(HealthError::Unavailable(why))) => error.because(why),
                    _ => error,
                });
            }
        };
        manager.set(Some(live));
        tokio::spawn(Self::keep(Arc::downgrade(&manager)));
        Ok(manager)
    }

    /// Runs `call` with the connection, if there is one, and drops the connection if it is lost.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(LiveConnection) -> RedisResult<T>,
    ) -> Result<T> {
        let Some(live) = self.live() else { return Err(Error::unavailable("Redis is away")) };
        let number = live.number;
        call(live).await.map_err(|error| {
            if is_lost(&error) {
                self.disconnect(number, &error.to_string());
            }
            Error::unavailable("Redis does not do as asked").because(error)
        })
    }

    pub(super) fn is_up(&self) -> bool {
        self.read().is_some()
    }

    pub(super) fn identity(&self) -> Option<Arc<str>> {
        self.read().as_ref().map(|live| live.identity.clone())
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) fn prefix(&self) -> &str {
        &self.address.prefix
    }

    async fn keep(manager: Weak<Self>) {
        loop {
            tokio::time::sleep(HEALTH_CHECK_INTERVAL).await;
            let Some(manager) = manager.upgrade() else { return };
            match manager.live() {
                Some(live) => match tokio::time::timeout(HEALTH_CHECK_TIMEOUT, manager.check(&live)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(why)) => manager.disconnect(live.number, &why.to_string()),
                    Err(_) => manager.disconnect(live.number, "it does not answer"),
                },
                None => match tokio::time::timeout(HEALTH_CHECK_TIMEOUT, manager.connect()).await {
                    Ok(Ok(live)) => {
                        tracing::info!(redis = manager.address.redacted, "Redis is back");
                        manager.set(Some(live));
                    }
                    Ok(Err(why)) => {
                        tracing::debug!(redis = manager.address.redacted, %why, "Redis is still away")
                    }
                    Err(_) => {}
                },
            }
        }
    }

    async fn connect(&self) -> Result<LiveConnection, HealthError> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let (connection, server, identity) = match &self.address.topology {
            Topology::Standalone(client) => {
                let mut one = connect_to(client).await?;
                let identity = health::check_server(&mut one).await?;
                (Connection::One(one), None, identity)
            }
            Topology::Sentinel(sentinel) => {
                let client = sentinel.lock().await.async_get_client().await?;
                let mut one = connect_to(&client).await?;
                let identity = health::check_server(&mut one).await?;
                (Connection::One(one), Some(client.get_connection_info().addr().to_string()), identity)
            }
            Topology::Cluster { client, .. } => {
                let mut cluster = client.get_async_connection().await?;
                let (identity, _) = health::check_cluster(&mut cluster).await?;
                (Connection::Cluster(cluster), None, identity)
            }
        };
        Ok(LiveConnection { connection, number, server, identity: identity.into() })
    }

    /// Checks that the connection leads to the right server and that the server answers.
    async fn check(&self, live: &LiveConnection) -> Result<(), HealthError> {
        if let Topology::Sentinel(sentinel) = &self.address.topology {
            // If the sentinels are unavailable, a master that answers is kept.
            let named = async { sentinel.lock().await.async_get_client().await };
            if let Ok(Ok(client)) = tokio::time::timeout(CONNECT_TIMEOUT, named).await
                && live.server != Some(client.get_connection_info().addr().to_string())
            {
                return Err(HealthError::Unsuitable("the sentinels name another master".to_owned()));
            }
        }
        let identity = match live.connection.clone() {
            Connection::One(mut one) => health::check_server(&mut one).await?,
            Connection::Cluster(mut cluster) => health::check_cluster(&mut cluster).await?.0,
        };
        if identity != *live.identity {
            return Err(HealthError::Unsuitable("another server answers in its place".to_owned()));
        }
        Ok(())
    }

    fn live(&self) -> Option<LiveConnection> {
        self.read().clone()
    }

    fn read(&self) -> RwLockReadGuard<'_, Option<LiveConnection>> {
        self.live.read().unwrap_or_else(|broken| broken.into_inner())
    }

    fn set(&self, live: Option<LiveConnection>) {
        *self.live.write().unwrap_or_else(|broken| broken.into_inner()) = live;
    }

    fn disconnect(&self, number: u64, why: &str) {
        let mut live = self.live.write().unwrap_or_else(|broken| broken.into_inner());
        if live.as_ref().is_some_and(|live| live.number == number) {
            tracing::warn!(redis = self.address.redacted, why, "Redis is away: the databases answer alone");
            *live = None;
        }
    }
}

pub(super) async fn connect_to(client: &Client) -> RedisResult<MultiplexedConnection> {
    let settings = AsyncConnectionConfig::new()
        .set_response_timeout(Some(RESPONSE_TIMEOUT))
        .set_connection_timeout(Some(CONNECT_TIMEOUT));
    client.get_multiplexed_async_connection_with_config(&settings).await
}

/// Whether an error is due to the connection or the server, not the command. A server that refuses
/// writes is useless for reads too: changes can't be published there.
fn is_lost(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, ReadOnly};
    let refuses_writes = || matches!(error.code(), Some("OOM" | "MISCONF" | "NOREPLICAS"));
    matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | ReadOnly)
    ) || refuses_writes()
}
