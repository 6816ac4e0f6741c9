//! Redis fails over repeatedly while two processes continue: no write fails, no feed differs and no one
//! is logged out.

use std::sync::atomic::{AtomicBool, Ordering};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tripod::conformance::Stores;
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::{RedisCluster, Sentinel};

use super::sessions::open;
use super::steps::{self, TOGETHER};
use super::{connected, seed, settled};

const ROUNDS: usize = 3;
const SESSIONS: usize = 20;

/// Redis servers that can lose a server.
pub trait Servers {
    fn url(&self) -> String;
    /// Kills a server that others replace, and waits for the replacement.
    async fn fail_over(&mut self);
    /// Restores what the next failover needs.
    async fn revive(&mut self);
}

impl Servers for Sentinel {
    fn url(&self) -> String {
        self.url()
    }

    async fn fail_over(&mut self) {
        self.fail_over().await;
    }

    async fn revive(&mut self) {
        self.revive().await;
    }
}

/// Each of its three masters has a replica, so it can lose one of each pair without a revival.
impl Servers for RedisCluster {
    fn url(&self) -> String {
        self.url()
    }

    async fn fail_over(&mut self) {
        self.fail_over().await;
    }

    async fn revive(&mut self) {}
}

async fn survive(mut servers: impl Servers) {
    let mut dice = StdRng::seed_from_u64(seed());
    let first = Stores::new(Backing::embedded().with_redis(&servers.url())).await;
    let processes = [first.clone(), first.reopened().await];
    let _workers = [processes[0].work(), processes[1].work()];
    let people = steps::people(&first).await;
    let sessions = processes.each_ref().map(|stores| stores.sessions.clone());
    let mut tokens = Vec::new();
    for n in 0..SESSIONS {
        tokens.push(open(&first, people[n % people.len()]).await);
    }
    let (mut taken, mut closed) = (0, 0);
    for round in 0..ROUNDS {
        connected(&[&processes[0], &processes[1]]).await;
        // Loaded into the first level, so that a revived outdated value would show.
        for token in &tokens {
            sessions[1].find(token).await.unwrap().expect("it is open");
        }
        let over = AtomicBool::new(false);
        let failing = async {
            servers.fail_over().await;
            over.store(true, Ordering::Relaxed);
        };
        let going_on = async {
            while !over.load(Ordering::Relaxed) {
                let together: Vec<_> = (0..TOGETHER).map(|_| steps::step(&mut dice)).collect();
                let taking = together.iter().map(|step| steps::take(*step, &processes, &people));
                futures::future::join_all(taking).await;
                taken += TOGETHER;
            }
        };
        // Closed while a server is down: it stays closed, whatever the next server has.
        let closing = async {
            let session = sessions[0].find(&tokens[0]).await.unwrap().expect("it is open");
            assert!(sessions[0].close(session.account, session.id).await.unwrap());
            closed += 1;
        };
        futures::future::join3(failing, going_on, closing).await;
        let gone = tokens.remove(0);
        connected(&[&processes[0], &processes[1]]).await;
        settled(&first).await;
        steps::compare(&processes, &people, &format!("round {round}")).await;
        for sessions in &sessions {
            let closed = format!("round {round}: the closed session is closed");
            eventually(&closed, async || sessions.find(&gone).await.unwrap().is_none().then_some(())).await;
            for token in &tokens {
                assert!(sessions.find(token).await.unwrap().is_some(), "round {round}: a session was lost");
            }
        }
        servers.revive().await;
    }
    println!(
        "{ROUNDS} times failed over during {taken} steps: 0 timelines differ, 0 of {} sessions ended, {closed} closed \
         stay closed",
        tokens.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_choose_another_server_and_nobody_sees_it() {
    survive(Sentinel::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_loses_its_masters_and_nobody_sees_it() {
    survive(RedisCluster::start_with_replicas().await).await;
}
