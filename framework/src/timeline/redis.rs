//! Timelines kept in Redis, for all processes: lists that can be lost at any time.
//!
//! Invariants: before a build reads the database it creates the list, marked as being built, so that
//! items pushed meanwhile are kept. The result is stored only if that mark is still there, so that a
//! list dropped meanwhile stays dropped. A list written on another server, or on this one before its
//! restart, or built from databases that have failed over since, is ignored. If Redis is unavailable, timelines are read from the shards.
//!
//! Each process copies the newest items of the lists that it reads ([`NearCache`]), because a round trip
//! to Redis costs more than the rest of a cached page. Every change of a list invalidates its copies.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::page::{Key, TimelinePage};
use super::pulled::{SharedVersion, VERSION, VERSION_ID, get_version, version};
use super::scripts::Scripts;
use crate::cache::{Cache as ValueCache, Generation, NearCache};
use crate::error::{Error, Result};
use crate::redis::{Cmd, Redis, Value, call, cmd, read};
use crate::shard::Consistency;

/// A list that is not read for this long expires.
const EXPIRE_SECONDS: i64 = 604_800;
/// How long a build may take; after that another process may build.
const BUILD_TIMEOUT_MS: &str = "15000";
/// How many timelines this process can build while further readers of each wait instead of building it
/// too.
const MAX_BUILDING: u64 = 10_000;
/// The number of items in a process's copy of a list: the longest page that clients usually request.
const NEAR_ITEMS: usize = 100;

/// The length of a mark in a list's state.
const MARK: usize = 16;

/// A build that has begun.
struct Build {
    token: String,
    /// The generation of the databases when it began.
    generation: String,
}

#[derive(Clone)]
pub(super) struct Shared {
    redis: Redis,
    generation: Generation,
    length: usize,
    scripts: Arc<Scripts>,
    building: Cache<Key, Arc<Mutex<()>>>,
    near: Arc<HashMap<&'static str, NearCache<TimelinePage>>>,
    near_version: NearCache<String>,
}

impl Shared {
    pub(super) fn new(
        SharedVersion { redis, near, generation }: SharedVersion,
        cache: &ValueCache,
        names: &[&'static str],
        length: usize,
    ) -> Self {
        let building =
            Cache::builder().max_capacity(MAX_BUILDING).time_to_idle(Duration::from_secs(60)).build();
        let near_lists =
            names.iter().map(|name| (*name, NearCache::new(cache, &format!("timeline.{name}")))).collect();
        let (scripts, near_lists) = (Arc::new(Scripts::new()), Arc::new(near_lists));
        Self { redis, generation, length, scripts, building, near: near_lists, near_version: near }
    }

    pub(super) async fn read(
        &self,
        key: Key,
        before: i64,
        limit: usize,
        consistency: Consistency,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        if consistency == Consistency::Cached
            && let Some(page) = self.copied(key, before, limit)
        {
            return Ok(page);
        }
        let name = self.name(key);
        let shared = async {
            if let Some(page) = self.find(key, before, limit).await? {
                return Ok((Some(page), None));
            }
            let turn = self.building.get_with(key, Arc::default).lock_owned().await;
            let generation = self.generation.digits();
            match self.begin(&name, &generation).await? {
                Some(token) => Ok((None, Some((turn, Build { token, generation })))),
                // Another reader was quicker, or another process is building it.
                None => Ok((self.find(key, before, limit).await?, None)),
            }
        };
        match shared.await {
            Ok((Some(page), _)) => Ok(page),
            Ok((None, Some((_turn, begun)))) => self.build(&name, &begun, before, limit, build).await,
            Ok((None, None)) => Ok(TimelinePage::not_ready()),
            Err(error) => {
                let error: Error = error;
                tracing::debug!(error = error.chain(), "a timeline is read from the shards");
                Ok(TimelinePage::not_ready())
            }
        }
    }

    /// The page from this process's copies, if they hold it.
    fn copied(&self, (timeline, owner): Key, before: i64, limit: usize) -> Option<TimelinePage> {
        let page = self.near.get(timeline)?.get(owner)?.part(before, limit, NEAR_ITEMS)?;
        let pulled_version = self.near_version.get(VERSION_ID)?.as_ref().clone();
        Some(TimelinePage { pulled_version: Some(pulled_version), ..page })
    }

    /// The page, if the list is complete and was written on the current server. The newest page is
    /// copied.
    async fn find(&self, key: Key, before: i64, limit: usize) -> Result<Option<TimelinePage>> {
        let is_newest = before == i64::MAX;
        let fill = self.near.get(key.0).filter(|_| is_newest).and_then(|near| near.begin_fill(key.1));
        let fill_version = self.near_version.begin_fill(VERSION_ID);
        let count = if fill.is_some() { limit.max(NEAR_ITEMS) } else { limit };
        let Some((list, version)) = self.query(key, before, count).await? else { return Ok(None) };
        if let (Some(fill), Some(version)) = (fill_version, &version) {
            fill.store(version.clone(), version.len());
        }
        let items = list.items.iter().take(limit).copied().collect();
        let page = TimelinePage { items, complete_above: list.complete_above, pulled_version: version };
        if let Some(fill) = fill {
            let bytes = size_of_val(&*list.items);
            fill.store(list, bytes);
        }
        Ok(Some(page))
    }

    /// Up to `count` items of a list below an item, and the version of the pulled authors.
    async fn query(
        &self,
        key: Key,
        before: i64,
        count: usize,
    ) -> Result<Option<(TimelinePage, Option<String>)>> {
        let (script, name, pulled) = (&self.scripts.read, self.name(key), self.redis.key(VERSION));
        let generation = self.generation.digits();
        let list = call(script, &name, &[&text(before), &count.to_string(), &EXPIRE_SECONDS.to_string()]);
        let groups = [(name.as_str(), vec![list]), get_version(&pulled)];
        let replies = self.redis.query_identified(&[script], &groups).await?;
        let [(identity, mut replies), pulled]: [_; 2] = replies.try_into().map_err(|_| foreign(&name))?;
        let list: Option<Vec<String>> = read(replies.pop().unwrap_or(Value::Nil))?;
        let Some([items @ .., last]) = list.as_deref() else { return Ok(None) };
        let Some((mark, written)) = last.strip_prefix('m').and_then(|rest| rest.split_at_checked(MARK))
        else {
            return Err(foreign(&name));
        };
        if written.strip_prefix(&*identity) != Some(generation.as_str()) {
            return Ok(None);
        }
        let page = parse_page(items, mark, before, count).ok_or_else(|| foreign(&name))?;
        Ok(Some((page, version(pulled, &generation)?)))
    }

    async fn begin(&self, name: &str, generation: &str) -> Result<Option<String>> {
        let token = text(rand::random_range(0..i64::MAX));
        let begun: bool =
            self.redis.run(&self.scripts.begin, name, &[&token, BUILD_TIMEOUT_MS, generation]).await?;
        Ok(begun.then_some(token))
    }

    /// Builds a list from the shards and stores it, unless it was dropped meanwhile.
    async fn build(
        &self,
        name: &str,
        begun: &Build,
        before: i64,
        limit: usize,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        let newest = match build(self.length).await {
            Ok(newest) => newest,
            Err(error) => {
                // Without this, others would wait for the build until it expires.
                let _: Result<()> = self.redis.query(&cmd("DEL").arg(name).take()).await;
                return Err(error);
            }
        };
        let full = newest.len() >= self.length;
        let mark = if full { newest.iter().min().map_or(0, |lowest| lowest - 1) } else { 0 };
        let mut arguments =
            vec![begun.token.clone(), self.length.to_string(), EXPIRE_SECONDS.to_string(), text(mark)];
        arguments.push(begun.generation.clone());
        arguments.extend(newest.iter().copied().map(text));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let finished: Result<Option<Vec<String>>> =
            self.redis.run(&self.scripts.finish, name, &arguments).await;
        // The finished list includes the items pushed meanwhile. If the list was dropped instead, the
        // items from the shards are returned but not stored.
        let list = finished.unwrap_or_else(|error| {
            tracing::debug!(error = error.chain(), "a timeline that was built is not kept");
            None
        });
        match list.as_deref() {
            Some([items @ .., last]) => {
                let mark = last.get(1..=MARK).ok_or_else(|| foreign(name))?;
                parse_page(items, mark, before, limit).ok_or_else(|| foreign(name))
            }
            _ => Ok(TimelinePage::from_items(newest, mark, before, limit)),
        }
    }

    pub(super) async fn push(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        let names: Vec<String> = owners.iter().map(|owner| self.name((timeline, *owner))).collect();
        // The list may grow by a quarter, so that not every push trims it.
        let (item, length, most) =
            (text(item), self.length.to_string(), (self.length + self.length / 4).to_string());
        let arguments = [&item, &length, &most].map(|argument| argument.as_bytes());
        let calls: Vec<(String, Vec<&[u8]>)> =
            names.into_iter().map(|name| (name, arguments.to_vec())).collect();
        let pushed = self.redis.run_each::<i64>(&self.scripts.push, &calls).await;
        pushed.and(self.invalidate(timeline, owners).await)
    }

    pub(super) async fn remove(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        let item = text(item);
        let calls: Vec<(String, Vec<&[u8]>)> =
            owners.iter().map(|owner| (self.name((timeline, *owner)), vec![item.as_bytes()])).collect();
        let removed = self.redis.run_each::<i64>(&self.scripts.remove, &calls).await;
        removed.and(self.invalidate(timeline, owners).await)
    }

    pub(super) async fn drop_timelines(&self, timeline: &'static str, owners: &[i64]) -> Result<()> {
        let drops: Vec<Vec<Cmd>> =
            owners.iter().map(|owner| vec![cmd("DEL").arg(self.name((timeline, *owner))).take()]).collect();
        let dropped = self.redis.query_each::<i64>(&drops).await;
        dropped.and(self.invalidate(timeline, owners).await)
    }

    /// Invalidates the copies of lists that have changed, or may have: an error does not tell.
    async fn invalidate(&self, timeline: &str, owners: &[i64]) -> Result<()> {
        match self.near.get(timeline) {
            Some(near) => near.invalidate(owners).await,
            None => Ok(()),
        }
    }

    fn name(&self, (timeline, owner): Key) -> String {
        self.redis.key(format_args!("t:{timeline}:{owner}"))
    }
}

/// Encodes an id. Ids are never negative, so these texts sort as the ids do.
fn text(item: i64) -> String {
    format!("{item:016x}")
}

fn item(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

/// Parses the part of a page in a list; `None` if the list is not in this format.
fn parse_page(list: &[String], mark: &str, before: i64, limit: usize) -> Option<TimelinePage> {
    let items: Option<Vec<i64>> = list.iter().map(|text| item(text)).collect();
    Some(TimelinePage::from_items(items?, item(mark)?, before, limit))
}

fn foreign(name: &str) -> Error {
    Error::unavailable(format!(
        "the key {name} in Redis holds no timeline: does another program write to it?"
    ))
}
