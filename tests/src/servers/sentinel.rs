//! A Redis master with a replica, watched by three sentinels.

use std::path::Path;

use futures::future::join_all;

use super::place::Place;
use super::process::{Process, Program, on_a_free_port};
use super::redis::ask;
use super::{PATIENCE, Redis};
use crate::eventually;

/// The master's name in the sentinels.
const NAME: &str = "mymaster";

/// A server that is silent for this long is considered dead. With half of it, a server on two cores that
/// are busy building would be, too.
const DOWN_AFTER_MS: u32 = 1_000;

/// Three sentinels, of which two must agree that the master is dead.
#[derive(Debug)]
pub struct Sentinel {
    sentinels: Vec<Watcher>,
    /// The master and its replica. Only the sentinels know which is which.
    servers: [Redis; 2],
}

#[derive(Debug)]
struct Watcher {
    port: u16,
    _process: Process,
    _place: Place,
}

impl Sentinel {
    /// Starts all five processes and waits until they know each other.
    pub async fn start() -> Self {
        let quick = ("repl-diskless-sync-delay", "0");
        let master = Redis::start_with(&[quick]).await;
        let of = format!("127.0.0.1 {}", master.port());
        let replica = Redis::start_with(&[quick, ("replicaof", &of)]).await;
        let sentinels = join_all((0..3).map(|_| watch(master.port()))).await;
        let started = Self { sentinels, servers: [master, replica] };
        started.settled().await;
        started
    }

    /// The URL for clients, with every sentinel and the master's name.
    pub fn url(&self) -> String {
        let addresses: Vec<String> =
            self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis-sentinel://{}/{NAME}", addresses.join(","))
    }

    /// The server that currently takes writes.
    ///
    /// # Panics
    /// If the sentinels don't agree on one.
    pub async fn master(&self) -> &Redis {
        let index = eventually("the sentinels agree on a master", PATIENCE, async || self.named().await);
        &self.servers[index.await]
    }

    /// The server that every sentinel names.
    async fn named(&self) -> Option<usize> {
        let mut ports: Vec<u16> = Vec::new();
        for sentinel in &self.sentinels {
            let named: Vec<String> =
                ask(sentinel.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME]).await.ok()?;
            ports.push(named.get(1)?.parse().ok()?);
        }
        let index = self.servers.iter().position(|server| server.port() == ports[0]);
        index.filter(|_| ports.iter().all(|port| *port == ports[0]))
    }

    /// Kills the master and waits until the sentinels have promoted the other server.
    ///
    /// # Panics
    /// If they don't, or if the replica is still down from last time: see [`Self::revive`].
    pub async fn fail_over(&mut self) {
        assert!(self.servers.iter().all(Redis::runs), "no replica is left: revive the one that was killed");
        let master = self.master().await.port();
        let [dead, other] = match &mut self.servers {
            [first, second] if first.port() == master => [first, second],
            [first, second] => [second, first],
        };
        dead.stop().await;
        let (dead, other) = (dead.port(), other.port());
        eventually("the sentinels name another master", PATIENCE, async || {
            let named = &self.servers[self.named().await?];
            let info: String = ask(other, &["INFO", "replication"]).await.ok()?;
            (named.port() != dead && info.contains("role:master")).then_some(())
        })
        .await;
    }

    /// Starts the killed server, and waits until it follows the master.
    pub async fn revive(&mut self) {
        let of = format!("127.0.0.1 {}", self.master().await.port());
        if let Some(dead) = self.servers.iter_mut().find(|server| !server.runs()) {
            // As a master it would be empty, and the sentinels might choose it before they noticed.
            dead.set("replicaof", &of);
            dead.restart().await;
        }
        self.settled().await;
    }

    /// The ids of all processes: the running servers and the sentinels.
    pub fn pids(&self) -> Vec<u32> {
        let servers = self.servers.iter().filter(|server| server.runs()).map(Redis::pid);
        servers.chain(self.sentinels.iter().map(|sentinel| sentinel._process.pid())).collect()
    }

    /// Waits until every sentinel knows the other two and the replica, which is in sync with the master.
    async fn settled(&self) {
        eventually("the sentinels know each other and the replica follows", PATIENCE, async || {
            if self.servers[self.named().await?].replicas().await != 1 {
                return None;
            }
            for sentinel in &self.sentinels {
                let seen: Vec<String> = ask(sentinel.port, &["SENTINEL", "MASTER", NAME]).await.ok()?;
                let is = |name: &str, value: &str| {
                    seen.chunks(2)
                        .any(|pair| pair.first().is_some_and(|part| part == name) && pair[1] == value)
                };
                if !is("num-other-sentinels", "2") || !is("num-slaves", "1") || !is("flags", "master") {
                    return None;
                }
                let replicas: ::redis::Value =
                    ask(sentinel.port, &["SENTINEL", "REPLICAS", NAME]).await.ok()?;
                let replicas = format!("{replicas:?}");
                if replicas.contains("s_down") || replicas.contains("disconnected") {
                    return None;
                }
            }
            Some(())
        })
        .await;
    }
}

async fn watch(master: u16) -> Watcher {
    let place = Place::new();
    let (port, process) = on_a_free_port(async |port| {
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\nsentinel failover-timeout {NAME} 3000\n"
        );
        std::fs::write(place.path().join("sentinel.conf"), settings).expect("the directory is ours");
        let program = Program {
            path: Path::new("redis-server"),
            user: None,
            end: "KILL",
            directory: place.path(),
            ready: "Sentinel ID is",
        };
        program.start(["sentinel.conf", "--sentinel"]).await
    })
    .await;
    Watcher { port, _process: process, _place: place }
}
