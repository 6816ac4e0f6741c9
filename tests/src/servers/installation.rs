//! A service's share of the shared servers: databases, a key space in Redis and a bucket.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use ::redis::{Client, RedisResult};
use tokio::sync::OnceCell;

use super::Shared;
use super::postgres::{psql, query};

/// The prefix of database names; the process that they are for follows it.
const PREFIX: &str = "test_";
const REGION: &str = "us-east-1";

/// An empty database on each PostgreSQL server, a key space in Redis and a bucket. No one else uses
/// them, and they are removed when this is dropped.
#[derive(Debug)]
pub struct Installation {
    name: String,
    shared: Arc<Shared>,
}

impl Installation {
    pub(super) async fn new(shared: Arc<Shared>) -> Self {
        static SWEPT: OnceCell<()> = OnceCell::const_new();
        SWEPT.get_or_init(|| sweep(&shared)).await;
        let name = format!("{PREFIX}{}_{:08x}", std::process::id(), rand::random::<u32>());
        let made = Self { name, shared };
        let servers = made.shared.direct.iter().enumerate();
        let create = servers.map(async |(index, server)| {
            let sql = format!("CREATE DATABASE {}", made.database(index));
            query(&format!("{server}/postgres"), &sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        });
        futures::future::join_all(create).await;
        std::fs::create_dir(made.bucket()).expect("a bucket is a directory");
        made
    }

    fn database(&self, index: usize) -> String {
        format!("{}_{index}", self.name)
    }

    /// The settings for a service on this installation.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let mut set = vec![("TRIPOD_DATABASES", self.databases().join(",")), ("TRIPOD_REDIS", self.redis())];
        let buckets = &self.shared.buckets;
        let media = format!("s3://{}?endpoint={}&region={REGION}", self.bucket_name(), buckets.endpoint);
        set.push(("TRIPOD_MEDIA", media));
        set.extend(buckets.keys.iter().cloned());
        set
    }

    /// Names of buckets have no underscores.
    fn bucket_name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The directory that is its bucket; the files in it are the keys.
    pub fn bucket(&self) -> PathBuf {
        self.shared.buckets.directory.join(self.bucket_name())
    }

    /// Each database through its PgBouncer, with the server's own address.
    pub fn databases(&self) -> Vec<String> {
        let servers = self.shared.pooled.iter().zip(&self.shared.direct).enumerate();
        servers
            .map(|(index, (pooled, direct))| {
                let address = direct.rsplit('@').next().unwrap_or_default();
                format!("{pooled}/{}?direct={address}", self.database(index))
            })
            .collect()
    }

    /// Each database on the server itself.
    pub fn direct(&self) -> Vec<String> {
        let servers = self.shared.direct.iter().enumerate();
        servers.map(|(index, server)| format!("{server}/{}", self.database(index))).collect()
    }

    /// Redis, with the prefix of this installation's keys.
    pub fn redis(&self) -> String {
        format!("{}/0?prefix={}:", self.shared.redis, self.name)
    }

    /// Deletes this installation's keys in Redis.
    ///
    /// # Panics
    /// If Redis does not respond.
    pub fn flush_redis(&self) {
        self.forget_keys().expect("Redis answers");
    }

    /// This installation's keys in Redis, and their values.
    ///
    /// # Panics
    /// If Redis does not respond.
    pub fn redis_contents(&self) -> Vec<String> {
        let mut redis = self.redis_connection().expect("Redis answers");
        let keys = self.keys(&mut redis).expect("Redis lists its keys");
        let values = keys.iter().map(|key| {
            let kind: String = ::redis::cmd("TYPE").arg(key).query(&mut redis).expect("a key's type");
            let read = match kind.as_str() {
                "list" => ::redis::cmd("LRANGE").arg(key).arg(0).arg(-1).query(&mut redis),
                "hash" => ::redis::cmd("HGETALL").arg(key).query(&mut redis),
                "set" => ::redis::cmd("SMEMBERS").arg(key).query(&mut redis),
                "zset" => ::redis::cmd("ZRANGE").arg(key).arg(0).arg(-1).query(&mut redis),
                _ => ::redis::cmd("MGET").arg(key).query(&mut redis),
            };
            // A key may have expired since.
            let values: Vec<Option<Vec<u8>>> = read.expect("a key's value");
            values
                .iter()
                .flatten()
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect::<String>()
        });
        let values: Vec<String> = values.collect();
        keys.into_iter().chain(values).collect()
    }

    fn redis_connection(&self) -> RedisResult<::redis::Connection> {
        Client::open(self.shared.redis.as_str())?.get_connection()
    }

    fn keys(&self, redis: &mut ::redis::Connection) -> RedisResult<Vec<String>> {
        let mut scan = ::redis::cmd("SCAN");
        scan.cursor_arg(0).arg("MATCH").arg(format!("{}:*", self.name)).arg("COUNT").arg(1_000);
        scan.iter(redis)?.collect()
    }

    fn forget_keys(&self) -> RedisResult<()> {
        let mut redis = self.redis_connection()?;
        for keys in self.keys(&mut redis)?.chunks(1_000) {
            ::redis::cmd("UNLINK").arg(keys).exec(&mut redis)?;
        }
        Ok(())
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // Whatever can't be removed here disappears with the servers.
        let _ = self.forget_keys();
        let _ = std::fs::remove_dir_all(self.bucket());
        let drops = self.shared.direct.iter().enumerate().map(|(index, server)| {
            let sql = drop_database(&self.database(index));
            psql(&format!("{server}/postgres")).args(["-c", &sql]).stderr(Stdio::null()).spawn()
        });
        let drops: Vec<_> = drops.collect();
        for mut drop in drops.into_iter().flatten() {
            let _ = drop.wait();
        }
    }
}

fn drop_database(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

/// Drops the databases of killed processes.
async fn sweep(shared: &Shared) {
    for server in &shared.direct {
        let url = format!("{server}/postgres");
        let databases = query(&url, "SELECT datname FROM pg_database").await.expect("the server answers");
        for name in databases.iter().filter_map(|row| row.first()) {
            let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next());
            if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                // Another process may be dropping it, too.
                let _ = query(&url, &drop_database(name)).await;
            }
        }
    }
}
