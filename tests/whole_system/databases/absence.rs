//! A process starts while one of its servers is down: it serves what the other holds, and takes the absent
//! one in when it is back and is as it should be.

use std::time::Duration;

use serde_json::json;
use tripod_tests::servers::{Postgres, Proxy, Redis};
use tripod_tests::{Person, Server, Stored, eventually};

use super::{migrated, on};

const PATIENCE: Duration = Duration::from_secs(60);

async fn server() -> Postgres {
    let server = Postgres::start_with(&[("fsync", "off")]).await;
    server.create_database("app").await;
    server
}

/// A person whose account is on this database.
async fn somebody(service: &Server, database: usize) -> Person {
    loop {
        let new = json!({"username": tripod_tests::unique("somebody"), "password": "a long password"});
        let reply = service.api().post("/accounts", &new).await;
        if reply.status == 503 {
            // The name belongs to a server that is down.
            continue;
        }
        let person = Person::of(&service.api(), &reply.expect(201));
        if person.database() == database {
            return person;
        }
    }
}

async fn captions(person: &Person) -> Vec<String> {
    person.feed().await.iter().map(|post| post["caption"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_process_starts_without_a_server_that_is_down_and_takes_it_in_later() {
    for absent in [0, 1] {
        let mut servers = [server().await, server().await];
        let list: Vec<String> = servers.iter().map(|server| server.url("app")).collect();
        let mut service = migrated(&list).await.start().await;
        let people = [somebody(&service, 0).await, somebody(&service, 1).await];
        let (here, there) = (&people[1 - absent], &people[absent]);
        here.follow(there).await;
        here.post_photo("here").await;
        there.post_photo("there").await;
        eventually("both posts are in the feed", PATIENCE, async || {
            (captions(here).await == ["there", "here"]).then_some(())
        })
        .await;

        servers[absent].stop().await;
        service.restart().await;
        let log = service.log();
        assert!(log.contains("starting without a database") && log.contains("does not answer"), "{log}");
        assert_eq!(captions(here).await, ["here"]);
        here.post_photo("meanwhile").await;
        there.get("/me").await.problem(503);
        let ready = service.api().get("~/readyz").await.expect(200);
        assert!(ready["down"].to_string().contains(&servers[absent].port().to_string()), "{ready}");

        servers[absent].restart().await;
        eventually("the server is used", PATIENCE, async || {
            (there.get("/me").await.status == 200).then_some(())
        })
        .await;
        there.post_photo("back again").await;
        eventually("the feed is whole", PATIENCE, async || {
            (captions(here).await == ["back again", "meanwhile", "there", "here"]).then_some(())
        })
        .await;
        eventually("every job is done", PATIENCE, async || {
            let mut jobs = 0;
            for url in &list {
                jobs += Stored::query_one(url, "SELECT name FROM tripod_job").await.len();
            }
            (jobs == 0).then_some(())
        })
        .await;
        assert_eq!(service.api().get("~/readyz").await.expect(200)["down"], serde_json::Value::Null);
        assert!(service.terminate().await.success());
    }
}

#[tokio::test]
async fn a_server_that_comes_back_with_another_schema_stays_out() {
    let servers = [server().await, server().await];
    let direct = format!("127.0.0.1:{}", servers[1].port());
    let mut proxy = Proxy::to(&direct).await;
    let list = [servers[0].url("app"), servers[1].url("app").replace(&direct, &proxy.address())];
    let setup = migrated(&list).await;
    proxy.refuse().await;
    let later = "INSERT INTO tripod_migration VALUES ('m21000101_000001_later', 0) RETURNING version";
    Stored::query_one(&servers[1].url("app"), later).await;
    let service = setup.start().await;
    let here = somebody(&service, 0).await;
    proxy.pass().await;
    eventually("the other schema is named", PATIENCE, async || {
        service.log().contains("newer version").then_some(())
    })
    .await;
    here.post_photo("meanwhile").await;
    let ready = service.api().get("~/readyz").await.expect(200);
    assert!(ready["down"].to_string().contains(proxy.address().as_str()), "{ready}");
    servers[1].query("app", "DELETE FROM tripod_migration WHERE version LIKE 'm2100%'").await;
    eventually("the server is used", PATIENCE, async || {
        service.api().get("~/readyz").await.expect(200)["down"].is_null().then_some(())
    })
    .await;
    somebody(&service, 1).await.post_photo("there").await;
}

#[tokio::test]
async fn without_any_server_a_process_ends_with_a_message() {
    let servers = [server().await, server().await];
    let list: Vec<String> = servers.iter().map(|server| server.url("app")).collect();
    migrated(&list).await;
    drop(servers);
    let directory = tempfile::tempdir().unwrap();
    let exit = on(&list).run(directory.path(), &[]).await;
    assert!(!exit.status.success() && exit.stderr.contains("does not answer: start it"), "{exit:?}");
}

/// A process that starts without a server uses the same timelines and cached rows as those that have known it:
/// it destroys none of them.
#[tokio::test]
async fn a_process_without_a_server_leaves_the_feeds_of_others_as_they_are() {
    let mut servers = [server().await, server().await];
    let list: Vec<String> = servers.iter().map(|server| server.url("app")).collect();
    let (redis, data) = (Redis::start().await, tempfile::tempdir().unwrap());
    let setup = migrated(&list).await.set("TRIPOD_REDIS", redis.url()).data(data.path());
    let first = setup.start().await;
    let (here, there) = (somebody(&first, 0).await, somebody(&first, 1).await);
    here.follow(&there).await;
    here.post_photo("here").await;
    there.post_photo("there").await;
    eventually("both posts are in the feed", PATIENCE, async || {
        (captions(&here).await == ["there", "here"]).then_some(())
    })
    .await;
    servers[1].kill().await;
    eventually("the server is known to be down", PATIENCE, async || {
        (there.get("/sessions").await.status == 503).then_some(())
    })
    .await;
    let second = on(&list).set("TRIPOD_REDIS", redis.url()).data(data.path()).start().await;
    let here_there = here.at(&second.api());
    assert_eq!(captions(&here_there).await, ["there", "here"], "the process does not know what is cached");
    assert_eq!(captions(&here).await, ["there", "here"], "the feed was destroyed");

    servers[1].restart().await;
    eventually("the server is used by both", PATIENCE, async || {
        let statuses = (there.get("/me").await.status, there.at(&second.api()).get("/me").await.status);
        (statuses == (200, 200)).then_some(())
    })
    .await;
    there.at(&second.api()).post_photo("back again").await;
    for person in [&here, &here_there] {
        eventually("the feed is whole", PATIENCE, async || {
            (captions(person).await == ["back again", "there", "here"]).then_some(())
        })
        .await;
    }
}
