//! The servers that a whole test run shares: two PostgreSQL clusters, each behind a PgBouncer, a Redis,
//! and an S3 server.
//!
//! `cargo run --bin servers -- COMMAND` starts them and passes their addresses to COMMAND in its
//! environment; a test that runs without it starts its own set.

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::Mutex;

use super::{Installation, ObjectStore, PgBouncer, Postgres, Redis};

const POSTGRES: &str = "TEST_POSTGRES";
const PGBOUNCER: &str = "TEST_PGBOUNCER";
const REDIS: &str = "TEST_REDIS";
const S3: &str = "TEST_S3";
const S3_DIRECTORY: &str = "TEST_S3_DIRECTORY";
/// As every S3 client reads them.
const S3_KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// These servers need no durability: durability tests start their own.
const QUICK: [(&str, &str); 4] = [
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("full_page_writes", "off"),
    ("max_connections", "400"),
];

/// The addresses of the servers. Those that this process started stop with the last clone of this value.
#[derive(Debug)]
pub struct Shared {
    /// The PostgreSQL servers, each a URL without a database.
    pub(super) direct: Vec<String>,
    /// The PgBouncers, each in front of the server at the same index.
    pub(super) pooled: Vec<String>,
    pub(super) redis: String,
    pub(super) buckets: Buckets,
    _own: Vec<(Postgres, PgBouncer)>,
    _redis: Option<(Redis, ObjectStore)>,
}

/// An S3 server whose buckets are directories.
#[derive(Debug)]
pub(super) struct Buckets {
    pub(super) endpoint: String,
    pub(super) directory: PathBuf,
    pub(super) keys: Vec<(&'static str, String)>,
}

impl Buckets {
    fn of_the_environment() -> Option<Self> {
        let variable = |name: &str| std::env::var(name).ok();
        let keys = S3_KEYS.iter().map(|name| Some((*name, variable(name)?))).collect::<Option<_>>()?;
        Some(Self { endpoint: variable(S3)?, directory: variable(S3_DIRECTORY)?.into(), keys })
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let mut variables = self.keys.clone();
        variables.push((S3, self.endpoint.clone()));
        variables.push((S3_DIRECTORY, self.directory.display().to_string()));
        variables
    }
}

impl Shared {
    /// The servers of this run, or a set that this process starts and its tests share.
    pub async fn get() -> Arc<Self> {
        static CURRENT: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());
        let mut current = CURRENT.lock().await;
        if let Some(shared) = current.upgrade() {
            return shared;
        }
        let shared = Arc::new(match Self::of_the_environment() {
            Some(shared) => shared,
            None => Self::start().await,
        });
        *current = Arc::downgrade(&shared);
        shared
    }

    fn of_the_environment() -> Option<Self> {
        let list = |name: &str| {
            let value = std::env::var(name).ok()?;
            Some(value.split(',').map(str::to_owned).collect::<Vec<_>>())
        };
        let (direct, pooled) = (list(POSTGRES)?, list(PGBOUNCER)?);
        assert_eq!(direct.len(), pooled.len(), "{POSTGRES} and {PGBOUNCER} name each server once");
        let (redis, buckets) = (std::env::var(REDIS).ok()?, Buckets::of_the_environment()?);
        Some(Self { direct, pooled, redis, buckets, _own: vec![], _redis: None })
    }

    /// Starts a set of servers.
    ///
    /// # Panics
    /// If one of them does not start.
    pub async fn start() -> Self {
        let one = async || {
            let postgres = Postgres::start_with(&QUICK).await;
            let pgbouncer = PgBouncer::start(&postgres).await;
            (postgres, pgbouncer)
        };
        let (first, second, redis, store) = tokio::join!(one(), one(), Redis::start(), ObjectStore::start());
        let own = vec![first, second];
        let server = |url: String| url.trim_end_matches('/').to_owned();
        Self {
            direct: own.iter().map(|(postgres, _)| server(postgres.url(""))).collect(),
            pooled: own.iter().map(|(_, pgbouncer)| server(pgbouncer.url(""))).collect(),
            redis: redis.url(),
            buckets: Buckets {
                endpoint: store.endpoint(),
                directory: store.directory().to_owned(),
                keys: store.variables().map(|(name, value)| (name, value.to_owned())).into(),
            },
            _own: own,
            _redis: Some((redis, store)),
        }
    }

    /// The variables that pass the addresses to another process.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let servers = [
            (POSTGRES, self.direct.join(",")),
            (PGBOUNCER, self.pooled.join(",")),
            (REDIS, self.redis.clone()),
        ];
        servers.into_iter().chain(self.buckets.variables()).collect()
    }

    /// A new, empty installation on these servers.
    pub async fn installation(self: &Arc<Self>) -> Installation {
        Installation::new(Arc::clone(self)).await
    }
}
