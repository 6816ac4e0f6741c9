//! Faults while processes share the cache.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::sleep;
use tripod::conformance::Stores;
use tripod_tests::servers::{Proxy, Redis};

use super::super::connected;
use super::{Process, Servers};

/// A setting with which a server without a replica takes no writes.
const REFUSES: &str = "min-replicas-to-write";

/// A component that fails, and works again afterwards.
pub trait Failing {
    async fn fail(&mut self, dice: &mut StdRng, processes: &[Process]);
}

/// The network between each process and Redis, and Redis itself.
pub struct Networks {
    pub redis: Redis,
    pub networks: Vec<Proxy>,
}

impl Failing for Networks {
    async fn fail(&mut self, dice: &mut StdRng, processes: &[Process]) {
        self.break_one(dice).await;
        sleep(Duration::from_millis(dice.random_range(20..400))).await;
        self.redis.ask::<()>(&["CONFIG", "SET", REFUSES, "0"]).await;
        for network in &mut self.networks {
            network.delay(Duration::ZERO);
            network.pass().await;
        }
        all_connected(processes).await;
    }
}

impl Networks {
    async fn break_one(&mut self, dice: &mut StdRng) {
        let place = dice.random_range(0..self.networks.len());
        let network = &mut self.networks[place];
        match dice.random_range(0..9) {
            0 => network.cut(),
            1 => network.hang().await,
            2 => network.refuse().await,
            3 => network.delay(Duration::from_millis(dice.random_range(5..250))),
            4 => self.redis.flush().await,
            5 => self.redis.restart().await,
            6 => {
                self.redis.pause();
                sleep(Duration::from_millis(dice.random_range(20..700))).await;
                self.redis.resume();
            }
            7 => self.redis.ask::<()>(&["CONFIG", "SET", REFUSES, "1"]).await,
            _ => {}
        }
    }
}

/// Servers that are lost and replaced.
pub struct Failover<S>(pub S);

impl<S: Servers> Failing for Failover<S> {
    async fn fail(&mut self, _: &mut StdRng, processes: &[Process]) {
        self.0.fail_over().await;
        all_connected(processes).await;
        self.0.revive().await;
    }
}

async fn all_connected(processes: &[Process]) {
    let stores: Vec<&Stores> = processes.iter().map(|process| &process.stores).collect();
    connected(&stores).await;
}
