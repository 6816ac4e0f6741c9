//! Timelines kept in Redis, for all processes: lists that can be lost at any time.
//!
//! Invariants: a list is there, marked as being built, before its building reads the database, so
//! an item that is pushed meanwhile is kept; what was built is stored only if that mark is still
//! there, so a drop meanwhile is obeyed; and a list written on another server than now holds it,
//! or on this one before it was restarted, is ignored. With Redis away the shards answer.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use tokio::sync::Mutex;

use super::page::{Key, TimelinePage};
use super::pulled::{VERSION, get_version, version};
use super::scripts::Scripts;
use crate::error::{Error, Result};
use crate::redis::{Cmd, Redis, Value, call, cmd, read};

/// Lists that nobody reads for so long are forgotten.
const EXPIRE_SECONDS: i64 = 604_800;
/// How long building may take; then somebody else may.
const BUILD_TIMEOUT_MS: &str = "15000";
/// Timelines being built by this process whose others wait rather than build, too.
const MAX_BUILDING: u64 = 10_000;

#[derive(Clone)]
pub(super) struct Shared {
    redis: Redis,
    length: usize,
    scripts: Arc<Scripts>,
    building: Cache<Key, Arc<Mutex<()>>>,
}

impl Shared {
    pub(super) fn new(redis: Redis, length: usize) -> Self {
        let building =
            Cache::builder().max_capacity(MAX_BUILDING).time_to_idle(Duration::from_secs(60)).build();
        Self { redis, length, scripts: Arc::new(Scripts::new()), building }
    }

    pub(super) async fn read(
        &self,
        key: Key,
        before: i64,
        limit: usize,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        let name = self.name(key);
        let shared = async {
            if let Some(page) = self.find(&name, before, limit).await? {
                return Ok((Some(page), None));
            }
            let turn = self.building.get_with(key, Arc::default).lock_owned().await;
            match self.begin(&name).await? {
                Some(token) => Ok((None, Some((turn, token)))),
                // Somebody was quicker, or is at it in another process.
                None => Ok((self.find(&name, before, limit).await?, None)),
            }
        };
        match shared.await {
            Ok((Some(page), _)) => Ok(page),
            Ok((None, Some((_turn, token)))) => self.build(&name, &token, before, limit, build).await,
            Ok((None, None)) => Ok(TimelinePage::not_ready()),
            Err(error) => {
                let error: Error = error;
                tracing::debug!(error = error.chain(), "a timeline is read from the shards");
                Ok(TimelinePage::not_ready())
            }
        }
    }

    /// The page, if the list is ready and was written on the server that answers.
    async fn find(&self, name: &str, before: i64, limit: usize) -> Result<Option<TimelinePage>> {
        let (script, pulled) = (&self.scripts.read, self.redis.key(VERSION));
        let list = call(script, name, &[&text(before), &limit.to_string(), &EXPIRE_SECONDS.to_string()]);
        let groups = [(name, vec![list]), get_version(&pulled)];
        let replies = self.redis.query_identified(&[script], &groups).await?;
        let [(identity, mut replies), pulled]: [_; 2] = replies.try_into().map_err(|_| foreign(name))?;
        let list: Option<Vec<String>> = read(replies.pop().unwrap_or(Value::Nil))?;
        let Some([items @ .., last]) = list.as_deref() else { return Ok(None) };
        let Some((mark, written)) = last.strip_prefix('m').and_then(|rest| rest.split_at_checked(16)) else {
            return Err(foreign(name));
        };
        if *written != *identity {
            return Ok(None);
        }
        let page = parse_page(items, mark, before, limit).ok_or_else(|| foreign(name))?;
        Ok(Some(TimelinePage { pulled_version: version(pulled)?, ..page }))
    }

    async fn begin(&self, name: &str) -> Result<Option<String>> {
        let token = text(rand::random_range(0..i64::MAX));
        let begun: bool = self.redis.run(&self.scripts.begin, name, &[&token, BUILD_TIMEOUT_MS]).await?;
        Ok(begun.then_some(token))
    }

    /// Reads the shards and stores what they gave, unless the list was dropped meanwhile.
    async fn build(
        &self,
        name: &str,
        token: &str,
        before: i64,
        limit: usize,
        build: impl AsyncFnOnce(usize) -> Result<Vec<i64>>,
    ) -> Result<TimelinePage> {
        let newest = match build(self.length).await {
            Ok(newest) => newest,
            Err(error) => {
                // Or others would wait for what does not come, until it expires.
                let _: Result<()> = self.redis.query(&cmd("DEL").arg(name).take()).await;
                return Err(error);
            }
        };
        let full = newest.len() >= self.length;
        let mark = if full { newest.iter().min().map_or(0, |lowest| lowest - 1) } else { 0 };
        let mut arguments =
            vec![token.to_owned(), self.length.to_string(), EXPIRE_SECONDS.to_string(), text(mark)];
        arguments.extend(newest.iter().copied().map(text));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let finished: Result<Option<Vec<String>>> =
            self.redis.run(&self.scripts.finish, name, &arguments).await;
        // What was pushed meanwhile is in the list that was finished. Where it was dropped instead,
        // what the shards gave is told and not kept.
        let list = finished.unwrap_or_else(|error| {
            tracing::debug!(error = error.chain(), "a timeline that was built is not kept");
            None
        });
        match list.as_deref() {
            Some([items @ .., last]) => {
                let mark = last.get(1..17).ok_or_else(|| foreign(name))?;
                parse_page(items, mark, before, limit).ok_or_else(|| foreign(name))
            }
            _ => Ok(TimelinePage::from_items(newest, mark, before, limit)),
        }
    }

    pub(super) async fn push(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        let names: Vec<String> = owners.iter().map(|owner| self.name((timeline, *owner))).collect();
        // It may grow a quarter, so that not every item cuts one off.
        let (item, length, most) =
            (text(item), self.length.to_string(), (self.length + self.length / 4).to_string());
        let arguments = [&item, &length, &most].map(|argument| argument.as_bytes());
        let calls: Vec<(String, Vec<&[u8]>)> =
            names.into_iter().map(|name| (name, arguments.to_vec())).collect();
        self.redis.run_each::<i64>(&self.scripts.push, &calls).await.map(drop)
    }

    pub(super) async fn remove(&self, timeline: &'static str, owners: &[i64], item: i64) -> Result<()> {
        let item = text(item);
        let calls: Vec<(String, Vec<&[u8]>)> =
            owners.iter().map(|owner| (self.name((timeline, *owner)), vec![item.as_bytes()])).collect();
        self.redis.run_each::<i64>(&self.scripts.remove, &calls).await.map(drop)
    }

    pub(super) async fn drop_timelines(&self, keys: &[Key]) -> Result<()> {
        let drops: Vec<Vec<Cmd>> =
            keys.iter().map(|key| vec![cmd("DEL").arg(self.name(*key)).take()]).collect();
        self.redis.query_each::<i64>(&drops).await.map(drop)
    }

    fn name(&self, (timeline, owner): Key) -> String {
        self.redis.key(format_args!("t:{timeline}:{owner}"))
    }
}

/// Ids are never negative, so their order is that of these texts.
fn text(item: i64) -> String {
    format!("{item:016x}")
}

fn item(text: &str) -> Option<i64> {
    i64::from_str_radix(text, 16).ok().filter(|_| text.len() == 16)
}

/// The part of a page of a list; nothing when it is none of ours.
fn parse_page(list: &[String], mark: &str, before: i64, limit: usize) -> Option<TimelinePage> {
    let items: Option<Vec<i64>> = list.iter().map(|text| item(text)).collect();
    Some(TimelinePage::from_items(items?, item(mark)?, before, limit))
}

fn foreign(name: &str) -> Error {
    Error::unavailable(format!(
        "the key {name} in Redis holds no timeline: does another program write to it?"
    ))
}
