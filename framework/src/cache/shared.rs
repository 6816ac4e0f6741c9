//! The second level: values in Redis, shared by all processes, with a lease for the process that loads
//! one.
//!
//! As in Facebook's memcache (Nishtala et al., 2013), a miss leases the key to one loader, and a change
//! of the row revokes the lease: a load that began before a write can't cache what it read. A writer
//! blocks fills of the key before it commits and unblocks them after. If it dies in between, the key is
//! not cached for a while, but an old value is never served. Redis may lose all of this at any time.

use std::sync::Arc;
use std::time::Duration;

use super::Generation;
use super::record::{self, time, token};
use super::scripts::Scripts;
use crate::error::{Error, Result};
use crate::redis::{Cmd, Redis, Value, cmd, read};

/// How long a lease lasts. A load that takes longer completes, but its value is not stored.
pub(super) const LEASE_MS: u64 = 2_000;
/// How long a block lasts if its writer dies: longer than any commit takes.
pub(super) const BLOCK_MS: u64 = 30_000;
/// A version of a region that was not loaded from for this long has no values left.
const VERSION_SECONDS: u64 = 2 * 86_400;

/// The channel on which writers publish the keys they change.
const CHANNEL: &str = "c:changed";

/// The part of a key in Redis that its region determines.
#[derive(Clone, Debug)]
pub(super) struct Namespace {
    pub(super) name: String,
    pub(super) version: u64,
    pub(super) ttl: Duration,
}

/// Identifies a Redis server ([`Redis::identity`]) and the databases whose values it holds
/// ([`Generation`]).
pub(super) type Server = Arc<str>;

/// What a process leases keys with: a token, on one server.
pub(super) struct Lease {
    pub(super) token: String,
    pub(super) server: Server,
}

impl Lease {
    pub(super) fn of(server: Server) -> Self {
        Self { token: token(), server }
    }
}

/// The reply to a request for a lease.
pub(super) enum LeaseReply {
    /// This process loads the value.
    Granted,
    /// There is a value, or another process is loading or changing it.
    Found(Vec<u8>),
}

#[derive(Clone)]
pub(super) struct Shared {
    redis: Redis,
    generation: Generation,
    scripts: Arc<Scripts>,
}

impl Shared {
    pub(super) fn new(redis: Redis, generation: Generation) -> Self {
        Self { redis, generation, scripts: Arc::new(Scripts::new()) }
    }

    pub(super) fn channel(&self) -> String {
        self.redis.key(CHANNEL)
    }

    /// The records under these keys on this server.
    pub(super) async fn get_many(
        &self,
        namespace: &Namespace,
        server: &Server,
        ids: &[i64],
    ) -> Result<Vec<Option<Vec<u8>>>> {
        let there = match ids {
            [] => return Ok(Vec::new()),
            [id] => vec![self.redis.query(&cmd("GET").arg(self.key(namespace, *id)).take()).await?],
            ids => {
                let keys: Vec<String> = ids.iter().map(|id| self.key(namespace, *id)).collect();
                self.redis.query(&cmd("MGET").arg(keys).take()).await?
            }
        };
        self.check(server)?;
        Ok(there)
    }

    /// Checks that the replies so far came from this server: one that was restarted may have loaded an
    /// old snapshot. The databases may also have been replaced.
    fn check(&self, server: &Server) -> Result<()> {
        if self.server().as_ref() == Some(server) {
            return Ok(());
        }
        Err(Error::unavailable("another server of Redis answers than was asked, or for other databases"))
    }

    /// The current server; `None` while Redis is unavailable.
    pub(super) fn server(&self) -> Option<Server> {
        self.generation.of_server(&self.redis.identity()?).map(Arc::from)
    }

    /// Requests leases on these keys. First registers this version of the region as in use: writers
    /// block fills of a key in every version in use.
    pub(super) async fn lease(
        &self,
        namespace: &Namespace,
        lease: &Lease,
        ids: &[i64],
        now_ms: u64,
    ) -> Result<Vec<LeaseReply>> {
        let (versions, now_seconds) = (self.versions(&namespace.name), now_ms / 1_000);
        let register = cmd("ZADD").arg(&versions).arg(now_seconds).arg(namespace.version).take();
        let gone = now_seconds.saturating_sub(VERSION_SECONDS);
        let forget = cmd("ZREMRANGEBYSCORE").arg(&versions).arg("-inf").arg(gone).take();
        self.redis.query_each::<i64>(&[vec![register, forget]]).await?;
        let lifetime = LEASE_MS.to_string();
        let calls: Vec<_> = ids
            .iter()
            .map(|id| {
                (
                    self.key(namespace, *id),
                    vec![lease.token.as_bytes(), lease.server.as_bytes(), lifetime.as_bytes()],
                )
            })
            .collect();
        let there: Vec<Option<Vec<u8>>> = self.redis.run_each(&self.scripts.lease, &calls).await?;
        self.check(&lease.server)?;
        Ok(there.into_iter().map(|there| there.map_or(LeaseReply::Granted, LeaseReply::Found)).collect())
    }

    /// Requests to refresh a value that is still served. Returns whether this process should load it.
    pub(super) async fn refresh(
        &self,
        namespace: &Namespace,
        lease: &Lease,
        id: i64,
        head: &[u8],
        now_ms: u64,
    ) -> Result<bool> {
        let until = time(now_ms + LEASE_MS);
        let call = (self.key(namespace, id), vec![head, lease.token.as_bytes(), until.as_bytes()]);
        let refreshed: Vec<bool> = self.redis.run_each(&self.scripts.refresh, &[call]).await?;
        Ok(refreshed == [true])
    }

    /// Stores values loaded under a lease. Returns for each whether it was stored.
    pub(super) async fn store(
        &self,
        namespace: &Namespace,
        lease: &Lease,
        loaded: &[LoadedEntry<'_>],
    ) -> Result<Vec<bool>> {
        if loaded.is_empty() {
            return Ok(Vec::new());
        }
        let records: Vec<(Vec<u8>, String)> = loaded
            .iter()
            .map(|loaded| {
                let record = record::write(
                    &lease.token,
                    &lease.server,
                    loaded.loaded_ms,
                    loaded.fresh_until_ms,
                    loaded.value,
                );
                (record, loaded.lifetime_ms.to_string())
            })
            .collect();
        let calls: Vec<_> = loaded
            .iter()
            .zip(&records)
            .map(|(loaded, (record, lifetime))| {
                (
                    self.key(namespace, loaded.id),
                    vec![lease.token.as_bytes(), record.as_slice(), lifetime.as_bytes()],
                )
            })
            .collect();
        let stored = self.redis.run_each(&self.scripts.store, &calls).await?;
        self.check(&lease.server)?;
        Ok(stored)
    }

    /// Releases leases whose loads found nothing that can be stored.
    pub(super) async fn release(&self, namespace: &Namespace, lease: &Lease, ids: &[i64]) -> Result<()> {
        let calls: Vec<_> =
            ids.iter().map(|id| (self.key(namespace, *id), vec![lease.token.as_bytes()])).collect();
        self.redis.run_each::<i64>(&self.scripts.release, &calls).await.map(drop)
    }

    /// Blocks fills of keys in every version of their regions that is in use, and publishes that the
    /// keys are changing.
    pub(super) async fn block_fills(
        &self,
        changed: &[(Arc<Namespace>, i64)],
        token: &str,
        now_ms: u64,
    ) -> Result<()> {
        let names = names(changed);
        let mut groups = self.ask_versions(&names, now_ms);
        groups.extend(self.block_each(changed, token, now_ms));
        let mut replies: Vec<Value> =
            self.redis.query_and_publish(&groups, &self.channel(), &message(changed)).await?;
        replies.truncate(names.len());
        let others = in_other_versions(changed, &names, replies)?;
        if !others.is_empty() {
            let blocks = self.block_each(&others, token, now_ms);
            self.redis.query_and_publish(&blocks, &self.channel(), &message(changed)).await?;
        }
        Ok(())
    }

    /// The commands that block fills of these keys.
    fn block_each(&self, changed: &[(Arc<Namespace>, i64)], token: &str, now_ms: u64) -> Vec<Vec<Cmd>> {
        let (now, until) = (time(now_ms), time(now_ms + BLOCK_MS));
        let latest = time(now_ms + 2 * BLOCK_MS);
        let block = |keys: &[String]| {
            cmd("EVAL")
                .arg(&self.scripts.block_fills)
                .arg(keys.len())
                .arg(keys)
                .arg(token)
                .arg(&now)
                .arg(&latest)
                .arg(&until)
                .arg(BLOCK_MS)
                .take()
        };
        self.redis.together(&self.keys(changed)).map(|keys| vec![block(keys)]).collect()
    }

    /// Unblocks fills of keys whose change has ended, in every version that is now in use. If a block
    /// was lost, the cached value is dropped and the invalidation published again. If the block's
    /// outcome is unknown, the invalidation is published in any case: the block may exist although its
    /// message was lost.
    pub(super) async fn unblock_fills(
        &self,
        changed: &[(Arc<Namespace>, i64)],
        token: &str,
        is_blocked: bool,
        now_ms: u64,
    ) -> Result<()> {
        let names = names(changed);
        let ask = self.ask_versions(&names, now_ms);
        let (versions, mut blocked) = tokio::try_join!(
            self.redis.query_each::<Value>(&ask),
            self.unblock_each(changed, token, now_ms)
        )?;
        let others = in_other_versions(changed, &names, versions)?;
        blocked.extend(self.unblock_each(&others, token, now_ms).await?);
        let all = changed.iter().chain(&others);
        let lost: Vec<(Arc<Namespace>, i64)> = all
            .zip(blocked)
            .filter(|(_, blocked)| !(is_blocked && *blocked))
            .map(|(key, _)| key.clone())
            .collect();
        if !lost.is_empty() {
            self.redis.query_and_publish(&[], &self.channel(), &message(&lost)).await?;
        }
        Ok(())
    }

    /// Publishes that values which are not stored here have changed.
    pub(super) async fn publish_changed(&self, region: &str, ids: &[i64]) -> Result<()> {
        let message = message_of(ids.iter().map(|id| (region, *id)));
        self.redis.query_and_publish(&[], &self.channel(), &message).await.map(drop)
    }

    async fn unblock_each(
        &self,
        changed: &[(Arc<Namespace>, i64)],
        token: &str,
        now_ms: u64,
    ) -> Result<Vec<bool>> {
        let (now, latest) = (time(now_ms), time(now_ms + 2 * BLOCK_MS));
        let arguments = [token.as_bytes(), now.as_bytes(), latest.as_bytes()];
        self.redis.run_all(&self.scripts.unblock_fills, &self.keys(changed), &arguments).await
    }

    /// Commands that list the versions of these regions that are in use.
    fn ask_versions(&self, names: &[&str], now_ms: u64) -> Vec<Vec<Cmd>> {
        let since = (now_ms / 1_000).saturating_sub(VERSION_SECONDS);
        let ask =
            |name: &&str| vec![cmd("ZRANGEBYSCORE").arg(self.versions(name)).arg(since).arg("+inf").take()];
        names.iter().map(ask).collect()
    }

    fn key(&self, namespace: &Namespace, id: i64) -> String {
        self.redis.key(format_args!("c:{}.{:x}:{id}", namespace.name, namespace.version))
    }

    fn keys(&self, changed: &[(Arc<Namespace>, i64)]) -> Vec<String> {
        changed.iter().map(|(namespace, id)| self.key(namespace, *id)).collect()
    }

    fn versions(&self, name: &str) -> String {
        self.redis.key(format_args!("c:versions:{name}"))
    }
}

/// A loaded value of a key.
pub(super) struct LoadedEntry<'l> {
    pub(super) id: i64,
    pub(super) loaded_ms: u64,
    pub(super) fresh_until_ms: u64,
    pub(super) lifetime_ms: u64,
    /// JSON; `None` if there is no value.
    pub(super) value: Option<&'l [u8]>,
}

/// The names of the regions of these keys.
fn names(changed: &[(Arc<Namespace>, i64)]) -> Vec<&str> {
    let mut names: Vec<&str> = changed.iter().map(|(namespace, _)| namespace.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// These keys in the other versions that are in use, according to Redis.
fn in_other_versions(
    changed: &[(Arc<Namespace>, i64)],
    names: &[&str],
    versions: Vec<Value>,
) -> Result<Vec<(Arc<Namespace>, i64)>> {
    let mut others = Vec::new();
    for (name, versions) in names.iter().zip(versions) {
        for version in read::<Vec<u64>>(versions)? {
            let of_region = changed
                .iter()
                .filter(|(namespace, _)| namespace.name == *name && namespace.version != version);
            others.extend(
                of_region
                    .map(|(namespace, id)| (Arc::new(Namespace { version, ..(**namespace).clone() }), *id)),
            );
        }
    }
    Ok(others)
}

/// The message that these keys changed: region names, which processes of other versions share, and ids.
fn message(changed: &[(Arc<Namespace>, i64)]) -> String {
    message_of(changed.iter().map(|(namespace, id)| (namespace.name.as_str(), *id)))
}

fn message_of<'k>(keys: impl Iterator<Item = (&'k str, i64)>) -> String {
    keys.map(|(name, id)| format!("{name}:{id}")).collect::<Vec<_>>().join(" ")
}

/// The keys in a message; anything malformed is skipped.
pub(super) fn changed(message: &str) -> impl Iterator<Item = (&str, i64)> {
    message.split(' ').filter_map(|key| {
        let (name, id) = key.rsplit_once(':')?;
        Some((name, id.parse().ok()?))
    })
}
