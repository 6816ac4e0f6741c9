//! Redis, a store for data that can be lost: one handle over a server, a cluster or sentinels.
//!
//! Nothing that must be kept is stored only here. At any time Redis may be flushed, restarted with an
//! old snapshot, failed over to a lagging replica, or unreachable: callers detect this with [`IDENTITY`]
//! and go to the databases. Each call is about one key, or about several keys that need not change
//! together, because in a cluster they are on different servers.

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
use address::{Address, Topology};
use connection_manager::{Connection, ConnectionManager, LiveConnection};
pub use subscription::{Publisher, Subscription};

/// Lua to prepend to a script: `identity()` names the server that holds the script's key, in 16
/// hexadecimal digits. It changes when the server restarts or a replica is promoted to master. Data
/// written under another identity may have lost its last changes.
pub const IDENTITY: &str = "
local function identity()
  local info = redis.call('INFO', 'server', 'replication')
  local part = function(name) return string.sub(string.match(info, name .. ':(%x+)') or '', 1, 8) end
  return part('run_id') .. part('master_replid')
end
";

/// Maximum keys of one call of a script: bounds how long other clients wait for it.
const KEYS_TOGETHER: usize = 100;

/// A handle on Redis; clones share everything.
#[derive(Clone)]
pub struct Redis(Arc<ConnectionManager>);

impl Redis {
    /// Connects to the address in the setting `redis`.
    ///
    /// # Errors
    /// Configuration: the address is malformed, no server responds, or the server can't be used.
    pub async fn open(url: &str) -> Result<Self> {
        Ok(Self(ConnectionManager::open(Address::parse(url)?).await?))
    }

    /// Checks the form of an address, without connecting.
    ///
    /// # Errors
    /// Configuration: the address is malformed.
    pub(crate) fn check_address(url: &str) -> Result<()> {
        Address::parse(url).map(drop)
    }

    /// Whether there is a connection.
    pub fn is_up(&self) -> bool {
        self.0.is_up()
    }

    /// Its address, as in the setting `redis`, without user and password.
    pub fn address(&self) -> &str {
        &self.0.address().redacted
    }

    /// The current server's identity, as in [`IDENTITY`], or one for all masters of a cluster: it
    /// changes when a server is restarted or replaced. `None` without a connection.
    pub fn identity(&self) -> Option<Arc<str>> {
        self.0.identity()
    }

    /// Subscribes to channels, on separate connections.
    ///
    /// # Errors
    /// Unavailable: no server responds.
    pub async fn subscribe(&self, channels: &[String]) -> Result<Subscription> {
        Subscription::open(&self.0, channels).await
    }

    /// A key of this installation, with its prefix.
    pub fn key(&self, name: impl Display) -> String {
        format!("{}{name}", self.0.prefix())
    }

    /// Sends a command about one key and returns the reply.
    ///
    /// # Errors
    /// Unavailable: the command failed, or its outcome is unknown.
    pub async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        self.0.call(async |mut live| command.query_async(&mut live.connection).await).await
    }

    /// Sends groups of commands and returns all replies in order. A group is about one key and runs in
    /// order on one server; groups may run concurrently.
    ///
    /// # Errors
    /// As for [`Self::query`]; some commands may have run anyway.
    pub async fn query_each<T: FromRedisValue>(&self, groups: &[Vec<Cmd>]) -> Result<Vec<T>> {
        if groups.is_empty() {
            // The client rejects an empty pipeline.
            return Ok(Vec::new());
        }
        self.0.call(async |live| query_each(live.connection, groups).await).await
    }

    /// As [`Self::query_each`], for groups with their key, whose commands may [`call`] these scripts.
    /// Returns the replies to each group with the identity of the server that sent them. A single
    /// server's identity is the one from its connection or its last check, at most half a second ago.
    /// That check detects a master that is demoted without its connections being cut; sentinels cut
    /// them.
    ///
    /// # Errors
    /// As for [`Self::query_each`].
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

    /// As [`Self::query_each`], and publishes a message on a channel after all commands have run.
    ///
    /// # Errors
    /// As for [`Self::query_each`].
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

    /// Runs a script for each of several keys, with its arguments, and returns the results. The script
    /// must be safe to repeat: if some calls fail, all may run again.
    ///
    /// # Errors
    /// As for [`Self::query_each`].
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

    /// These keys in groups that a script may be called with: in a cluster, each key on its own.
    pub fn together<'k>(&self, keys: &'k [String]) -> impl Iterator<Item = &'k [String]> {
        let is_cluster = matches!(self.0.address().topology, Topology::Cluster { .. });
        keys.chunks(if is_cluster { 1 } else { KEYS_TOGETHER })
    }

    /// Runs a script that takes any number of keys on all of these, with the same arguments. The script returns
    /// a list with a result for each of its keys, and must be safe to repeat.
    ///
    /// # Errors
    /// As for [`Self::query_each`].
    pub async fn run_all<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[String],
        arguments: &[&[u8]],
    ) -> Result<Vec<T>> {
        let call = |keys: &[String]| {
            cmd("EVALSHA").arg(script.get_hash()).arg(keys.len()).arg(keys).arg(arguments).take()
        };
        let groups: Vec<Vec<Cmd>> = self.together(keys).map(|keys| vec![call(keys)]).collect();
        if groups.is_empty() {
            return Ok(Vec::new());
        }
        let results: Vec<Vec<T>> = self
            .0
            .call(async |live| match query_each(live.connection.clone(), &groups).await {
                Err(error) if is_unknown_script(&error) => {
                    load(&live, &[script]).await?;
                    query_each(live.connection, &groups).await
                }
                asked => asked,
            })
            .await?;
        Ok(results.into_iter().flatten().collect())
    }

    /// Runs a script about one key. Sends its hash, or the whole script if the server does not know it.
    ///
    /// # Errors
    /// As for [`Self::query`].
    pub async fn run<T: FromRedisValue>(&self, script: &Script, key: &str, arguments: &[&str]) -> Result<T> {
        let mut call = script.key(key);
        for argument in arguments {
            call.arg(*argument);
        }
        self.0.call(async |mut live| call.invoke_async(&mut live.connection).await).await
    }
}

/// A call of a script about one key, by its hash. The sender must make sure that the server knows the
/// script.
pub fn call(script: &Script, key: &str, arguments: &[impl ToRedisArgs]) -> Cmd {
    cmd("EVALSHA").arg(script.get_hash()).arg(1).arg(key).arg(arguments).take()
}

/// Whether the server does not know the script: after a restart it knows none.
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
                // Last, so that the newer server is named if it changes in between.
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

/// Converts a reply's value to another type.
///
/// # Errors
/// Unavailable, if the types do not match: another program may have written the value.
pub fn read<T: FromRedisValue>(value: Value) -> Result<T> {
    redis::from_redis_value(value)
        .map_err(|error| Error::unavailable("Redis returned a value of another type").because(error))
}
