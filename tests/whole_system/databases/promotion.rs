//! A standby takes over from its primary while sockets to the old one stay open, as when a virtual
//! address moves: reads and writes move with it, and nothing that was read from the old one survives.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tripod_tests::servers::{Postgres, Proxy, Redis};
use tripod_tests::{Person, Server, Setup, Stored, eventually};

use super::migrated;

/// Within this, everything is read from and written to the new primary.
const MOVED: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
const PEOPLE: usize = 6;
/// Requests at once that warm the pools, so that many sockets are open.
const AT_ONCE: usize = 24;

/// A primary and its standby, and the address that leads to one of them.
struct Pair {
    old: Postgres,
    new: Postgres,
    address: Proxy,
}

impl Pair {
    async fn start() -> Self {
        let old = Postgres::start_with(&[("fsync", "off")]).await;
        old.create_database("app").await;
        let new = Postgres::standby_of(&old).await;
        let address = Proxy::to(&at(&old)).await;
        Self { old, new, address }
    }

    fn url(&self) -> String {
        self.old.url("app").replace(&at(&self.old), &self.address.address())
    }

    /// What a failover manager does when it can't reach the clients' sockets: the old primary takes no more
    /// writes, the standby is promoted, and new connections reach it.
    async fn fail_over(&self) {
        self.demote().await;
        self.new.promote().await;
        self.address.redirect(&at(&self.new));
    }

    async fn demote(&self) {
        self.old.query("postgres", "ALTER SYSTEM SET default_transaction_read_only = on").await;
        self.old.query("postgres", "SELECT pg_reload_conf()").await;
        let written = self.old.query("postgres", "SELECT pg_current_wal_lsn()").await[0][0].clone();
        let caught_up = format!("SELECT pg_last_wal_replay_lsn() >= '{written}'");
        eventually("the standby has everything", PATIENCE, async || {
            (self.new.query("postgres", &caught_up).await == [["t"]]).then_some(())
        })
        .await;
    }
}

fn at(server: &Postgres) -> String {
    format!("127.0.0.1:{}", server.port())
}

/// The captions of a feed.
async fn feed(person: &Person) -> Vec<String> {
    person.feed().await.iter().map(|post| post["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Every post, newest first: everyone follows everyone.
async fn posts(server: &Postgres) -> Vec<String> {
    Stored::query_one(&server.url("app"), "SELECT id::text FROM post ORDER BY id DESC").await
}

async fn is_ready(server: &Server) -> bool {
    let reply = server.api().request(reqwest::Method::GET, "~/readyz").send().await.unwrap();
    reply.status().is_success()
}

/// Many requests at once, so that the process opens many connections.
async fn crowd(people: &[Person]) {
    let asked = (0..AT_ONCE).map(|n| {
        let person = &people[n % people.len()];
        async move {
            person.get(&format!("/users/{}/followers", person.id)).await.expect(200);
            person.patch("/me", &serde_json::json!({"bio": format!("{n}")})).await.expect(200);
        }
    });
    join_all(asked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes_move_to_the_new_primary_and_no_feed_of_the_old_one_survives() {
    let pair = Pair::start().await;
    let redis = Redis::start().await;
    let data = tempfile::tempdir().unwrap();
    let setup = || async {
        let setup = migrated(&[pair.url()]).await;
        setup.set("TRIPOD_REDIS", redis.url()).data(data.path()).start().await
    };
    let processes = [setup().await, setup().await];
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(processes[n % 2].person("somebody").await);
    }
    let everywhere = processes
        .each_ref()
        .map(|process| people.iter().map(|person| person.at(&process.api())).collect::<Vec<Person>>());
    for person in &people {
        for other in people.iter().filter(|other| other.id != person.id) {
            person.follow(other).await;
        }
        person.post_photo("before").await;
    }
    let are_equal = async || {
        let expected = posts(&pair.new).await;
        for (people, process) in everywhere.iter().zip(1..) {
            for person in people {
                let shown = feed(person).await;
                if shown != expected {
                    return Err(format!("process {process} shows {shown:?}, and there are {expected:?}"));
                }
            }
        }
        Ok(())
    };
    let equal = async |when: &str| {
        let mut why = String::new();
        let shown = tokio::time::timeout(PATIENCE, async {
            while let Err(differs) = are_equal().await {
                why = differs;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let in_time = shown.await.is_ok();
        assert!(in_time, "{when}: {why}");
    };
    equal("before").await;
    join_all(everywhere.iter().map(|people| crowd(people))).await;
    let at_old =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = 'app' AND application_name = 'tripod'";
    println!("{} connections to the old primary", pair.old.query("postgres", at_old).await[0][0]);

    pair.fail_over().await;
    let begun = Instant::now();
    // Everyone goes on: some processes write to the new primary while others still read from the old one.
    for (people, process) in everywhere.iter().zip(1..) {
        let writes = async {
            let author = &people[0];
            while author.publish(&tripod_tests::PhotoPost::of([tripod_tests::photo::small()])).await.status
                != 201
            {
                feed(&people[1]).await;
            }
        };
        assert!(tokio::time::timeout(MOVED, writes).await.is_ok(), "process {process} writes to nobody");
        println!("process {process} wrote after {:?}", begun.elapsed());
    }
    equal("after the failover").await;
    println!("every feed was that of the new primary after {:?}", begun.elapsed());
    assert!(begun.elapsed() < MOVED, "reads took {:?} to move", begun.elapsed());
    for person in &people {
        person.post_photo("after").await;
    }
    equal("later").await;
    for process in &processes {
        assert!(is_ready(process).await, "it is not ready");
    }
    eventually("no connection to the old primary is left", MOVED, async || {
        (pair.old.query("postgres", at_old).await == [["0"]]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_process_whose_only_server_takes_no_writes_is_not_ready() {
    let pair = Pair::start().await;
    let service = migrated(&[pair.url()]).await.start().await;
    let person = service.person("somebody").await;
    pair.demote().await;
    eventually("the process is not ready", MOVED, async || (!is_ready(&service).await).then_some(())).await;
    person.get("/me").await.expect(200);
    person.patch("/me", &serde_json::json!({"bio": "none"})).await.problem(503);
    pair.new.promote().await;
    pair.address.redirect(&at(&pair.new));
    eventually("the process is ready", MOVED, async || is_ready(&service).await.then_some(())).await;
    person.patch("/me", &serde_json::json!({"bio": "mine"})).await.expect(200);
}

#[tokio::test]
async fn a_standby_as_the_only_address_is_refused() {
    let pair = Pair::start().await;
    let setup: Setup = migrated(&[pair.old.url("app")]).await;
    drop(setup);
    eventually("the standby has the tables", PATIENCE, async || {
        let there = "SELECT count(*) FROM pg_tables WHERE tablename = 'tripod_database'";
        (pair.new.query("app", there).await == [["1"]]).then_some(())
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let exit = super::on(&[pair.new.url("app")]).run(directory.path(), &[]).await;
    assert!(!exit.status.success() && exit.stderr.contains("takes no writes"), "{exit:?}");
}
