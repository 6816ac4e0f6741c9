//! Whether a server, or all servers of a cluster, can be used.

use std::fmt;

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, RedisError, RedisResult, Value, cmd};
use sha2::{Digest, Sha256};

/// The first version in which scripts may ask what the rest of this module asks.
const OLDEST: u32 = 7;

/// Why it can't be used.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It does not answer, or not yet.
    Away(RedisError),
    /// It answers, and is not what is needed.
    Wrong(String),
}

impl From<RedisError> for Unfit {
    fn from(error: RedisError) -> Self {
        Self::Away(error)
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away(error) => error.fmt(f),
            Self::Wrong(why) => f.write_str(why),
        }
    }
}

/// A single server: it has its data in memory, is a master and new enough. Gives its identity.
pub(super) async fn check_server(server: &mut MultiplexedConnection) -> Result<String, Unfit> {
    // Unlike INFO this is refused while the server still reads its data.
    cmd("PING").query_async::<()>(server).await?;
    let info: String = info().query_async(server).await?;
    if field(&info, "redis_mode") == Some("cluster") {
        return Err(Unfit::Wrong("it is part of a cluster: write redis-cluster://HOST:PORT,...".to_owned()));
    }
    check_info(&info)?;
    Ok(identity(&[info]))
}

/// A cluster: each slot is served, by a master that answers and is new enough. Gives the identity of
/// all masters together, and how many they are.
pub(super) async fn check_cluster(cluster: &mut ClusterConnection) -> Result<(String, usize), Unfit> {
    let nodes: String = cmd("CLUSTER").arg("NODES").query_async(cluster).await?;
    let serving = |line: &&str| {
        let mut words = line.split(' ');
        words.nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "master")) && words.count() > 5
    };
    let masters = nodes.lines().filter(serving).count();
    let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    // A node that can't be reached is left out of the reply without a word.
    let replies = match cluster.route_command(info(), all).await? {
        Value::Map(replies) => replies,
        other => return Err(Unfit::Wrong(format!("its masters answer {other:?}"))),
    };
    if replies.len() < masters {
        return Err(Unfit::Wrong(format!("{} of its {masters} masters answer", replies.len())));
    }
    let mut infos: Vec<String> = Vec::with_capacity(masters);
    for (_, info) in replies {
        let info: RedisResult<String> = redis::from_redis_value(info).map_err(RedisError::from);
        let info = info?;
        check_info(&info)?;
        infos.push(info);
    }
    let state: String = cmd("CLUSTER").arg("INFO").query_async(cluster).await?;
    match field(&state, "cluster_state") {
        Some("ok") => Ok((identity(&infos), masters)),
        state => Err(Unfit::Wrong(format!("its state is {}", state.unwrap_or("unknown")))),
    }
}

fn info() -> Cmd {
    cmd("INFO").arg("server").arg("replication").take()
}

fn check_info(info: &str) -> Result<(), Unfit> {
    let version = field(info, "redis_version").unwrap_or_default();
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < OLDEST) {
        return Err(Unfit::Wrong(format!(
            "its version is {version}, and {OLDEST}.0 is the oldest that will do"
        )));
    }
    match field(info, "role") {
        Some("master") => Ok(()),
        role => Err(Unfit::Wrong(format!(
            "its role is {}: name the master, or the sentinels that know it",
            role.unwrap_or("unknown")
        ))),
    }
}

/// Names servers, with 16 hexadecimal digits: a process, and since when it is a master.
fn identity(infos: &[String]) -> String {
    let mut servers: Vec<[&str; 2]> = infos
        .iter()
        .map(|info| ["run_id", "master_replid"].map(|name| field(info, name).unwrap_or_default()))
        .collect();
    servers.sort_unstable();
    let hash = Sha256::digest(servers.concat().concat());
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
