//! Checks whether a server, or every server of a cluster, can be used.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, RedisError, RedisResult, Value, cmd};
use sha2::{Digest, Sha256};

/// The first version whose scripts allow the commands and the declaration used in this module.
const MIN_MAJOR_VERSION: u32 = 7;

/// A script declared without the flag `no-writes`. Unlike INFO, a server refuses it whenever it would
/// refuse a write: out of memory or disk, while loading its data, or with too few replicas. It has no
/// key, so any master of a cluster runs it.
const WRITABLE: &str = "#!lua\nreturn 1";

/// Why a server can't be used.
#[derive(Debug)]
pub(super) enum HealthError {
    /// It does not respond, or not yet.
    Unavailable(RedisError),
    /// It responds, but is unsuitable.
    Unsuitable(String),
}

impl From<RedisError> for HealthError {
    fn from(error: RedisError) -> Self {
        Self::Unavailable(error)
    }
}

impl fmt::Display for HealthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(error) => error.fmt(f),
            Self::Unsuitable(why) => f.write_str(why),
        }
    }
}

/// Checks that a single server is a master, takes writes and is new enough. Returns its identity.
pub(super) async fn check_server(server: &mut MultiplexedConnection) -> Result<String, HealthError> {
    let info: String = info().query_async(server).await?;
    if field(&info, "redis_mode") == Some("cluster") {
        return Err(HealthError::Unsuitable(
            "it is part of a cluster: write redis-cluster://HOST:PORT,...".to_owned(),
        ));
    }
    check_info(&info)?;
    // After the version check, whose message is clearer for an old server.
    writable().query_async::<()>(server).await?;
    Ok(identity(&info))
}

/// Checks that every slot of a cluster is served, by a master that takes writes and is new enough.
/// Returns the identity of all masters together, and their number.
pub(super) async fn check_cluster(cluster: &mut ClusterConnection) -> Result<(String, usize), HealthError> {
    let nodes: String = cmd("CLUSTER").arg("NODES").query_async(cluster).await?;
    let serving = |line: &&str| {
        let mut words = line.split(' ');
        words.nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "master")) && words.count() > 5
    };
    let masters = nodes.lines().filter(serving).count();
    let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    // The reply silently omits nodes that can't be reached.
    let replies = match cluster.route_command(info(), all.clone()).await? {
        Value::Map(replies) => replies,
        other => return Err(HealthError::Unsuitable(format!("its masters answer {other:?}"))),
    };
    if replies.len() < masters {
        return Err(HealthError::Unsuitable(format!("{} of its {masters} masters answer", replies.len())));
    }
    let mut identities: Vec<String> = Vec::with_capacity(masters);
    for (_, info) in replies {
        let info: RedisResult<String> = redis::from_redis_value(info).map_err(RedisError::from);
        let info = info?;
        check_info(&info)?;
        identities.push(identity(&info));
    }
    let take_writes = done(&cluster.route_command(writable(), all).await?);
    if take_writes < masters {
        return Err(HealthError::Unsuitable(format!("{take_writes} of its {masters} masters take writes")));
    }
    let state: String = cmd("CLUSTER").arg("INFO").query_async(cluster).await?;
    match field(&state, "cluster_state") {
        Some("ok") => Ok((combined_identity(identities), masters)),
        state => Err(HealthError::Unsuitable(format!("its state is {}", state.unwrap_or("unknown")))),
    }
}

/// How many of several servers ran a command, by their replies: an unreachable server is silently
/// omitted, and a refusal is an error among the replies.
pub(super) fn done(replies: &Value) -> usize {
    let done = |(_, reply): &(&Value, &Value)| !matches!(reply, Value::ServerError(_));
    replies.as_map_iter().map_or(0, |replies| replies.filter(done).count())
}

fn info() -> Cmd {
    cmd("INFO").arg("server").arg("replication").take()
}

fn writable() -> Cmd {
    cmd("EVAL").arg(WRITABLE).arg(0).take()
}

fn check_info(info: &str) -> Result<(), HealthError> {
    let version = field(info, "redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < MIN_MAJOR_VERSION) {
        return Err(HealthError::Unsuitable(format!(
            "its version is {version}; version {MIN_MAJOR_VERSION}.0 or later is required"
        )));
    }
    match field(info, "role") {
        Some("master") => Ok(()),
        role => Err(HealthError::Unsuitable(format!(
            "its role is {}: name the master, or the sentinels that know it",
            role.unwrap_or("unknown")
        ))),
    }
}

/// A server's identity, as in [`super::IDENTITY`]: its process, and when it became a master.
fn identity(info: &str) -> String {
    let part = |name| field(info, name).and_then(|value| value.get(..8)).unwrap_or_default();
    part("run_id").to_owned() + part("master_replid")
}

/// The identity of several servers, with as many digits.
fn combined_identity(mut servers: Vec<String>) -> String {
    servers.sort_unstable();
    let hash = Sha256::digest(servers.concat());
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field of INFO's reply.
fn field<'t>(info: &'t str, name: &str) -> Option<&'t str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_and_a_replica_are_refused() {
        let info = |version: &str, role: &str| {
            format!(
                "# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n# Replication\r\nrole:{role}\r\n"
            )
        };
        check_info(&info("7.0.15", "master")).unwrap();
        check_info(&info("10.1.0", "master")).unwrap();
        for (version, role, says) in
            [("6.2.14", "master", "6.2.14"), ("", "master", "7.0"), ("7.2.4", "slave", "slave")]
        {
            let why = check_info(&info(version, role)).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
    }
}
