//! Real servers for tests, each a value. It starts on a free port of 127.0.0.1 with its data in its own
//! directory, and dropping it leaves neither a process nor a file.
//!
//! `tests/servers/install` installs their dependencies. A server dies with the process that started it,
//! however that process ends.

mod gearman;
mod installation;
mod memcached;
mod nginx;
mod object_store;
mod old_postgres;
mod pgbouncer;
mod place;
mod postgres;
mod process;
mod proxy;
mod redis;
mod redis_cluster;
mod sentinel;
mod shared;
mod tls;
mod tls_front;

pub use gearman::Gearman;
pub use installation::Installation;
pub use memcached::Memcached;
pub use nginx::Nginx;
pub use object_store::{Asked, Fault, ObjectStore};
pub use old_postgres::OldPostgres;
pub use pgbouncer::{PgBouncer, PgBouncerSetup};
pub use postgres::{Postgres, pgbench};
pub use proxy::Proxy;
pub use redis::Redis;
pub use redis_cluster::RedisCluster;
pub use sentinel::Sentinel;
pub use shared::Shared;
pub use tls_front::TlsFront;

use std::path::PathBuf;
use std::time::Duration;

/// How long a server may take to start, stop or find its new master, on a machine that is busy building.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where `tests/servers/install` unpacks servers, and where files made once per machine are kept.
fn installed() -> PathBuf {
    crate::server::target().join("servers")
}
