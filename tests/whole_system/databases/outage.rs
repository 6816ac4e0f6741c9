//! One server goes down: its shards are refused at once, and the others continue as before.

use std::time::{Duration, Instant};

use serde_json::json;
use tripod_tests::servers::{Postgres, Proxy};
use tripod_tests::{Person, Server, eventually};

use super::migrated;

const PATIENCE: Duration = Duration::from_secs(60);
/// The number of calls before, during and after.
const CALLS: usize = 200;

/// Two servers, a service on them, and a person on each.
struct Two {
    servers: [Postgres; 2],
    service: Server,
    people: [Person; 2],
}

async fn server() -> Postgres {
    let server = Postgres::start_with(&[("fsync", "off")]).await;
    server.create_database("app").await;
    server
}

/// A person whose account lives in this half of the shards.
async fn somebody(service: &Server, half: u64) -> Person {
    loop {
        let person = service.person("somebody").await;
        let id: u64 = person.id.parse().unwrap();
        if (id >> 10 & 8_191) / 4_096 == half {
            return person;
        }
    }
}

async fn two() -> Two {
    two_keeping(None).await
}

/// The same, with this cache size per process.
async fn two_keeping(memory_bytes: Option<&str>) -> Two {
    let servers = [server().await, server().await];
    let list: Vec<String> = servers.iter().map(|server| server.url("app")).collect();
    let setup = migrated(&list).await;
    let setup = match memory_bytes {
        Some(bytes) => setup.set("TRIPOD_CACHE__MEMORY_BYTES", bytes),
        None => setup,
    };
    let service = setup.start().await;
    let people = [somebody(&service, 0).await, somebody(&service, 1).await];
    Two { servers, service, people }
}

/// How long each call takes to succeed, sorted.
async fn latencies(person: &Person) -> Vec<Duration> {
    let mut times = Vec::with_capacity(CALLS);
    for n in 0..CALLS {
        let begun = Instant::now();
        if n % 4 == 0 {
            person.patch("/me", &json!({"bio": format!("bio {n}")})).await.expect(200);
        } else {
            person.get("/me").await.expect(200);
        }
        times.push(begun.elapsed());
    }
    times.sort();
    times
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100 - 1]
}

#[tokio::test]
async fn the_other_shards_go_on_while_a_server_is_down() {
    // Without a cache, results come from the databases.
    let mut two = two_keeping(Some("0")).await;
    two.people[0].follow(&two.people[1]).await;
    two.people[0].post_photo("here").await;
    two.people[1].post_photo("there").await;
    let feed = async |person: &Person| -> Vec<String> {
        let feed = person.feed().await;
        feed.iter().map(|post| post["caption"].as_str().unwrap_or_default().to_owned()).collect()
    };
    eventually("both posts are in the feed", PATIENCE, async || {
        (feed(&two.people[0]).await == ["there", "here"]).then_some(())
    })
    .await;
    let before = p99(&latencies(&two.people[0]).await);
    two.servers[1].kill().await;
    // Requests to its shards detect it; after that they are refused at once.
    eventually("the server is known to be down", PATIENCE, async || {
        let reply = two.people[1].get("/me").await;
        assert_eq!(reply.status, 503);
        let begun = Instant::now();
        two.people[1].get("/me").await;
        (begun.elapsed() < Duration::from_millis(250)).then_some(())
    })
    .await;
    let during = p99(&latencies(&two.people[0]).await);
    println!("p99 on the other shards: {before:?} before, {during:?} while the server is down");
    // Requests that concern no particular person get a partial result.
    two.people[0].get("/explore").await.expect(200);
    assert_eq!(feed(&two.people[0]).await, ["here"], "the feed is not what the other databases hold");
    let ready: serde_json::Value = two
        .service
        .api()
        .request(reqwest::Method::GET, "~/readyz")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(ready["ready"], true);
    assert!(ready["down"][0].as_str().unwrap().contains(&two.servers[1].port().to_string()), "{ready}");

    two.servers[1].restart().await;
    eventually("the server is used again", PATIENCE, async || {
        (two.people[1].get("/me").await.status == 200).then_some(())
    })
    .await;
    two.people[1].post_photo("back again").await;
    eventually("the feed is whole again", PATIENCE, async || {
        (feed(&two.people[0]).await == ["back again", "there", "here"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_the_cache_has_is_shown_while_its_server_is_down() {
    let mut two = two().await;
    two.people[0].follow(&two.people[1]).await;
    two.people[1].post_photo("there").await;
    let feed = async || -> Vec<String> {
        let feed = two.people[0].feed().await;
        feed.iter().map(|post| post["caption"].as_str().unwrap_or_default().to_owned()).collect()
    };
    eventually("the post is in the feed", PATIENCE, async || (feed().await == ["there"]).then_some(())).await;
    two.servers[1].kill().await;
    assert_eq!(feed().await, ["there"]);
    let problem = two.people[1].get("/sessions").await.problem(503).to_string();
    assert!(problem.contains("is down") && !problem.contains("busy"), "{problem}");
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_used_again() {
    let servers = [server().await, server().await];
    let mut proxy = Proxy::to(&format!("127.0.0.1:{}", servers[1].port())).await;
    let behind = servers[1].url("app").replace(&format!("127.0.0.1:{}", servers[1].port()), &proxy.address());
    let service = migrated(&[servers[0].url("app"), behind]).await.start().await;
    let (near, far) = (somebody(&service, 0).await, somebody(&service, 1).await);
    proxy.hang().await;
    let begun = Instant::now();
    assert_eq!(far.get("/me").await.status, 503);
    assert!(begun.elapsed() < Duration::from_secs(8), "it waited {:?}", begun.elapsed());
    let begun = Instant::now();
    assert_eq!(far.get("/me").await.status, 503);
    assert!(begun.elapsed() < Duration::from_millis(500), "it waited {:?} again", begun.elapsed());
    near.post_photo("meanwhile").await;
    proxy.pass().await;
    eventually("the server is used again", PATIENCE, async || {
        (far.get("/me").await.status == 200).then_some(())
    })
    .await;
    far.post_photo("back again").await;
}

/// All connections die at once, as in a restart, without a failed read.
#[tokio::test]
async fn a_restarted_server_costs_no_read() {
    let mut two = two().await;
    latencies(&two.people[1]).await;
    two.servers[1].stop().await;
    two.servers[1].restart().await;
    eventually("the server is known to be up", PATIENCE, async || {
        (two.people[1].get("/me").await.status == 200).then_some(())
    })
    .await;
    for _ in 0..50 {
        two.people[1].get("/me").await.expect(200);
    }
}

/// After a long outage, what had to wait for the server is done within seconds, however long it was down.
#[tokio::test]
async fn jobs_that_waited_for_a_server_run_within_seconds_of_its_return() {
    const RETURNED: Duration = Duration::from_secs(12);
    /// Attempts after which a backoff that doubles would be longer than that.
    const ATTEMPTS: i64 = 6;
    let mut two = two().await;
    let [near, far] = two.people.each_ref();
    near.follow(far).await;
    let followers = async || {
        let followers = far.get(&format!("/users/{}/followers", far.id)).await.expect(200);
        followers["items"].as_array().map_or(0, Vec::len)
    };
    eventually("the far end is written", PATIENCE, async || (followers().await == 1).then_some(())).await;
    two.servers[1].kill().await;
    eventually("the server is known to be down", PATIENCE, async || {
        (far.get("/me").await.status == 503).then_some(())
    })
    .await;
    near.delete(&format!("/users/{}/follow", far.id)).await.expect(204);
    let attempts =
        "SELECT COALESCE(max(attempt), 0)::text FROM tripod_job WHERE name = 'tripod.write_far_end'";
    eventually("the far end was tried often", 2 * PATIENCE, async || {
        let tried = two.servers[0].query("app", attempts).await[0][0].parse::<i64>().unwrap();
        (tried >= ATTEMPTS).then_some(())
    })
    .await;
    two.servers[1].restart().await;
    eventually("the server is used again", PATIENCE, async || {
        (far.get("/me").await.status == 200).then_some(())
    })
    .await;
    let begun = Instant::now();
    eventually("the far end is written", RETURNED, async || (followers().await == 0).then_some(())).await;
    println!("the far end was written {:?} after the server's return", begun.elapsed());
}
