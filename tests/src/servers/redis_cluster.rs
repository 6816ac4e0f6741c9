//! A Redis Cluster of three masters.

use std::process::Command;

use futures::future::join_all;

use super::place::free_port;
use super::redis::ask;
use super::{PATIENCE, Redis};
use crate::eventually;

/// A node that is silent for this long is considered dead.
const NODE_TIMEOUT_MS: &str = "1000";
/// The smallest cluster that `redis-cli` creates.
const MASTERS: usize = 3;

/// A cluster of three masters that share the slots; each may have a replica.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Redis>,
}

impl RedisCluster {
    /// Starts three masters.
    pub async fn start() -> Self {
        Self::form(0).await
    }

    /// Starts three masters with a replica each.
    pub async fn start_with_replicas() -> Self {
        Self::form(1).await
    }

    async fn form(replicas: usize) -> Self {
        let nodes = join_all((0..MASTERS * (1 + replicas)).map(|_| node())).await;
        let cluster = Self { nodes };
        let mut cli = Command::new("redis-cli");
        cli.args(["--cluster", "create"]).args(cluster.nodes.iter().map(Redis::address));
        cli.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let cli = tokio::process::Command::from(cli).kill_on_drop(true).output().await;
        let cli = cli.expect("redis-cli can be run");
        assert!(cli.status.success(), "{}", String::from_utf8_lossy(&cli.stdout));
        eventually("the cluster is formed", PATIENCE, async || {
            for node in &cluster.nodes {
                let (info, nodes) =
                    (node.ask::<String>(&["CLUSTER", "INFO"]), node.ask(&["CLUSTER", "NODES"]));
                let (info, nodes): (String, String) = (info.await, nodes.await);
                let linked = nodes.matches("connected").count() - nodes.matches("disconnected").count();
                let replicating = nodes.matches("slave").count() == cluster.nodes.len() - MASTERS;
                if !info.contains("cluster_state:ok") || linked != cluster.nodes.len() || !replicating {
                    return None;
                }
                if replicas > 0 && !node.in_sync().await {
                    return None;
                }
            }
            Some(())
        })
        .await;
        cluster
    }

    /// The URL for clients, with every node.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.nodes.iter().map(Redis::address).collect();
        format!("redis-cluster://{}", addresses.join(","))
    }

    /// The nodes, including killed ones.
    pub fn nodes(&self) -> &[Redis] {
        &self.nodes
    }

    /// Deletes every key.
    pub async fn flush(&self) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            if node.is_master().await {
                node.flush().await;
            }
        }
    }

    /// Kills a master that has a replica, and waits until all slots are served again.
    ///
    /// # Panics
    /// If no replica is left, or none takes over.
    pub async fn fail_over(&mut self) {
        let mut found = None;
        for (index, node) in self.nodes.iter().enumerate().filter(|(_, node)| node.runs()) {
            if node.is_master().await && node.replicas().await > 0 {
                found = Some(index);
            }
        }
        let index = found.expect("a master has a replica: use start_with_replicas");
        let id: String = self.nodes[index].ask(&["CLUSTER", "MYID"]).await;
        self.nodes[index].stop().await;
        eventually("the replica has taken over", PATIENCE, async || {
            for node in self.nodes.iter().filter(|node| node.runs()) {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                let nodes: String = node.ask(&["CLUSTER", "NODES"]).await;
                let dead = nodes.lines().find(|line| line.starts_with(&id)).unwrap_or_default();
                // Its last fields are its slots, which another master has now.
                if !info.contains("cluster_state:ok") || dead.split_whitespace().count() > 8 {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

async fn node() -> Redis {
    let bus = free_port().to_string();
    Redis::start_with(&[
        ("cluster-enabled", "yes"),
        ("cluster-node-timeout", NODE_TIMEOUT_MS),
        ("cluster-port", &bus),
        ("repl-diskless-sync-delay", "0"),
    ])
    .await
}

impl Redis {
    async fn is_master(&self) -> bool {
        let role: ::redis::Value = self.ask(&["ROLE"]).await;
        format!("{role:?}").contains("master")
    }

    /// The number of connected replicas.
    pub(super) async fn replicas(&self) -> usize {
        let info: String = self.ask(&["INFO", "replication"]).await;
        info.lines().filter(|line| line.contains("state=online")).count()
    }

    /// Whether it is a master, or in sync with its master.
    async fn in_sync(&self) -> bool {
        let info: Result<String, _> = ask(self.port(), &["INFO", "replication"]).await;
        info.is_ok_and(|info| info.contains("role:master") || info.contains("master_link_status:up"))
    }
}
