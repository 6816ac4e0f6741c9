//! Connections to PostgreSQL: a process takes no more than its server can spare, and gives back what it does
//! not use.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tripod_tests::eventually;
use tripod_tests::servers::Postgres;

use super::{migrated, on};

/// Idle connections are closed after a minute.
const RELEASED: Duration = Duration::from_secs(90);

async fn server(max_connections: &str) -> Postgres {
    let settings = [("fsync", "off"), ("max_connections", max_connections)];
    let server = Postgres::start_with(&settings).await;
    server.create_database("app").await;
    server
}

#[tokio::test]
async fn a_server_with_too_few_connections_is_refused_with_the_arithmetic() {
    let server = server("20").await;
    migrated(&[server.url("app")]).await;
    let directory = tempfile::tempdir().unwrap();
    let exit = on(&[server.url("app")]).run(directory.path(), &[]).await;
    assert!(!exit.status.success(), "{exit:?}");
    for part in ["has 17 connections", "may open 14", "max_connections", "10 are left to operators"] {
        assert!(exit.stderr.contains(part), "{part:?} is not in {}", exit.stderr);
    }
}

#[tokio::test]
async fn connections_of_a_peak_are_given_back() {
    let server = server("100").await;
    let service = migrated(&[server.url("app")]).await.start().await;
    let person = service.person("somebody").await;
    let open = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tripod'";
        server.query("postgres", sql).await[0][0].parse::<usize>().unwrap()
    };
    let asked = (0..24).map(|n| {
        let person = &person;
        async move {
            person.get(&format!("/users/{}/followers", person.id)).await.expect(200);
            person.patch("/me", &json!({"bio": format!("{n}")})).await.expect(200);
        }
    });
    join_all(asked).await;
    let at_peak = open().await;
    assert!(at_peak > 4, "{at_peak} connections at the peak");
    // One for writes, one or two for reads, as the queue and the comparison of stores read now and then, the lock
    // of the only process, and now and then the watch's.
    eventually("idle connections are given back", RELEASED, async || (open().await <= 5).then_some(())).await;
    println!("{at_peak} connections at the peak, {} a minute later", open().await);
    person.get("/me").await.expect(200);
}
