//! Redis, as a store of what can be lost: one handle over a server, a cluster and sentinels.
//!
//! Nothing that anybody would miss is only here. Redis may be flushed, restarted with an old
//! snapshot, failed over to a replica that lags, or be away, at any time: callers notice by what
//! they find ([`IDENTITY`]) and go to the databases. Each call is about one key, or about several
//! that need not change together: in a cluster they are on different servers.

mod address;
mod connection_manager;
mod health;
mod subscription;

use std::fmt::Display;
use std::sync::Arc;

use futures::future::try_join_all;
pub use redis::{Cmd, FromRedisValue, Script, Value, cmd};
use redis::{ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, ToRedisArgs};

use crate::error::{Error, Result};
use address::Address;
use connection_manager::{Connection, ConnectionManager, LiveConnection};
pub use subscription::{Publisher, Subscription};

/// Lua to begin a script with: `identity()` names the server that a script's key is on, with 16
/// hexadecimal digits, and changes when that is restarted or becomes master in another's place. What
/// was written under another identity may have lost its last changes.
pub const IDENTITY: &str = "
local function identity()
  local info = redis.call('INFO', 'server', 'replication')
  local part = function(name) return string.sub(string.match(info, name .. ':(%x+)') or '', 1, 8) end
  return part('run_id') .. part('master_replid')
end
";

/// The handle on Redis; clones share everything.
#[derive(Clone)]
pub struct Redis(Arc<ConnectionManager>);

impl Redis {
    /// Connects to the address that the setting `redis` gives.
    ///
    /// # Errors
    /// Configuration: it is written wrongly, nobody answers, or who answers can't be used.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self(ConnectionManager::open(Address::parse(url)?).await?))
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Names who answers now, as [`IDENTITY`] does, and a cluster's masters all together: it changes
    /// when the server, or any of them, is restarted or replaced. Nothing while there is no connection.
    pub fn identity(&self) -> Option<Arc<str>> {
        self.0.identity()
    }

    /// Subscribes to channels, on connections of its own.
    ///
    /// # Errors
    /// Unavailable: nobody answers.
    pub async fn subscribe(&self, channels: &[String]) -> Result<Subscription> {
        Subscription::open(&self.0, channels).await
    }

    /// A key of this installation.
    pub fn key(&self, name: impl Display) -> String {
        format!("{}{name}", self.0.prefix())
    }

    /// The reply to a command about one key.
    ///
    /// # Errors
    /// Unavailable: it did not do as asked, or nobody knows whether it did.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.0.call(async |mut live| command.query_async(&mut live.connection).await).await
    }

    /// The replies to groups of commands, one after the other. A group is about one key and is
    /// carried out in order, by one server; the groups may be carried out at once.
    ///
    /// # Errors
    /// As [`Self::query`]; some of them may have been carried out all the same.
    pub async fn query_each<T: FromRedisValue>(&self, groups: &[Vec<Cmd>]) -> Result<Vec<T>> {
        if groups.is_empty() {
            // To the client, nothing to send is a mistake.
            return Ok(Vec::new());
        }
        self.0.call(async |live| query_each(live.connection, groups).await).await
    }

    /// As [`Self::query_each`] for groups with the key that each is about, which may [`call`] these
    /// scripts: the replies to each, and the identity of the server that gave them. That of a single
    /// server is the one that it had when it was connected to or last looked at, half a second ago at
    /// most: a master that is made a replica without its connections being cut, as sentinels cut them,
    /// is noticed then.
    ///
    /// # Errors
    /// As [`Self::query_each`].
    pub async fn query_identified(
        &self,
        scripts: &[&Script],
        groups: &[(&str, Vec<Cmd>)],
    ) -> Result<Vec<(Arc<str>, Vec<Value>)>> {
        self.0
            .call(async |live| match query_identified(&live, groups).await {
                Err(error) if is_unknown_script(&error) => {
                    load(&live, scripts).await?;
                    query_identified(&live, groups).await
                }
                asked => asked,
            })
            .await
    }

    /// As [`Self::query_each`], and once all are carried out publishes a message.
    ///
    /// # Errors
    /// As [`Self::query_each`].
    pub async fn query_and_publish(
        &self,
        groups: &[Vec<Cmd>],
        channel: &str,
        message: &str,
    ) -> Result<Vec<Value>> {
        let publish = cmd("PUBLISH").arg(channel).arg(message).take();
        self.0
            .call(async |live| match live.connection {
                Connection::One(mut one) => {
                    let all = groups.iter().flatten().chain([&publish]);
                    pipeline(all).query_async(&mut one).await
                }
                Connection::Cluster(mut cluster) => {
                    let replies = match groups {
                        [] => Vec::new(),
                        groups => query_each(Connection::Cluster(cluster.clone()), groups).await?,
                    };
                    publish.query_async::<()>(&mut cluster).await?;
                    Ok(replies)
                }
            })
            .await
    }

    /// What a script gives for each of several keys, with its arguments. It must bear to be run again
    /// where some of them fail.
    ///
    /// # Errors
    /// As [`Self::query_each`].
    pub async fn run_each<T: FromRedisValue>(
        &self,
        script: &Script,
        calls: &[(String, Vec<&[u8]>)],
    ) -> Result<Vec<T>> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        let groups: Vec<Vec<Cmd>> =
            calls.iter().map(|(key, arguments)| vec![call(script, key, arguments)]).collect();
        self.0
            .call(async |live| match query_each(live.connection.clone(), &groups).await {
                Err(error) if is_unknown_script(&error) => {
                    load(&live, &[script]).await?;
                    query_each(live.connection, &groups).await
                }
                asked => asked,
            })
            .await
    }

    /// What a script about one key gives. It is sent by its hash, and whole where that is not known.
    ///
    /// # Errors
    /// As [`Self::query`].
    pub async fn run<T: FromRedisValue>(&self, script: &Script, key: &str, arguments: &[&str]) -> Result<T> {
        let mut call = script.key(key);
        for argument in arguments {
            call.arg(*argument);
        }
        self.0.call(async |mut live| call.invoke_async(&mut live.connection).await).await
    }
}

/// A call of a script about one key, by its hash: whoever sends it sees to it that it is known.
pub fn call(script: &Script, key: &str, arguments: &[impl ToRedisArgs]) -> Cmd {
    cmd("EVALSHA").arg(script.get_hash()).arg(1).arg(key).arg(arguments).take()
}

/// Whether a server was asked for a script that it does not know: one that was restarted knows none.
fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

async fn load(live: &LiveConnection, scripts: &[&Script]) -> RedisResult<()> {
    for script in scripts {
        script.prepare_invoke().load_async(&mut live.connection.clone()).await?;
    }
    Ok(())
}

async fn query_identified(
    live: &LiveConnection,
    groups: &[(&str, Vec<Cmd>)],
) -> RedisResult<Vec<(Arc<str>, Vec<Value>)>> {
    match live.connection.clone() {
        Connection::One(mut one) => {
            let all = groups.iter().flat_map(|(_, group)| group);
            let mut replies = pipeline(all).query_async::<Vec<Value>>(&mut one).await?.into_iter();
            let of_each = |(_, group): &(&str, Vec<Cmd>)| {
                (live.identity.clone(), replies.by_ref().take(group.len()).collect())
            };
            Ok(groups.iter().map(of_each).collect())
        }
        Connection::Cluster(cluster) => {
            let each = groups.iter().map(async |(key, group)| {
                let whose = format!("{IDENTITY} return identity()");
                // Last: where the server changes in between, the newer one is named.
                let whose = cmd("EVAL").arg(whose).arg(1).arg(*key).take();
                let asked = pipeline(group.iter().chain([&whose]));
                let mut replies: Vec<Value> = asked.query_async(&mut cluster.clone()).await?;
                let identity: String = redis::from_redis_value(replies.pop().unwrap_or(Value::Nil))?;
                Ok((identity.into(), replies))
            });
            try_join_all(each).await
        }
    }
}

async fn query_each<T: FromRedisValue>(connection: Connection, groups: &[Vec<Cmd>]) -> RedisResult<Vec<T>> {
    match connection {
        Connection::One(mut one) => pipeline(groups.iter().flatten()).query_async(&mut one).await,
        Connection::Cluster(cluster) => {
            let asked = groups.iter().map(|group| {
                let mut cluster = cluster.clone();
                async move { pipeline(group).query_async::<Vec<T>>(&mut cluster).await }
            });
            Ok(try_join_all(asked).await?.into_iter().flatten().collect())
        }
    }
}

fn pipeline<'c>(commands: impl IntoIterator<Item = &'c Cmd>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for command in commands {
        pipeline.add_command(command.clone());
    }
    pipeline
}

/// A reply's value as another type.
///
/// # Errors
/// Unavailable, when it is none: another program may have written it.
pub fn read<T: FromRedisValue>(value: Value) -> Result<T> {
    redis::from_redis_value(value)
        .map_err(|error| Error::unavailable("Redis answers something else").because(error))
}
