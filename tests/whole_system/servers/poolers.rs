//! PgBouncer: a version as in production, and an old one.

use std::time::Instant;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement};
use tripod_tests::servers::{PgBouncer, PgBouncerSetup, Postgres};

use super::Traces;

/// One connection.
async fn client(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

/// Uses a prepared statement, as sqlx does for every query with parameters.
async fn backend(client: &DatabaseConnection) -> Result<i32, DbErr> {
    let sql = "SELECT pg_backend_pid() + $1";
    let row = client.query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, [0.into()]));
    row.await?.unwrap().try_get_by_index(0)
}

/// Two clients take turns on one server connection.
async fn take_turns(postgres: &Postgres, setup: PgBouncerSetup) -> Result<Vec<i32>, DbErr> {
    let pgbouncer = setup.set("default_pool_size", "1").start().await;
    let url = pgbouncer.url("own");
    let (first, second) = (client(&url).await, client(&url).await);
    let mut backends = Vec::new();
    for client in [&first, &second, &first, &second] {
        backends.push(backend(client).await?);
    }
    assert_eq!(postgres.query("postgres", "SELECT 1").await, [["1"]]);
    Ok(backends)
}

#[tokio::test]
async fn transactions_are_pooled_and_prepared_statements_survive_it() {
    let postgres = Postgres::start().await;
    postgres.create_database("own").await;
    let backends = take_turns(&postgres, PgBouncer::before(&postgres)).await.unwrap();
    assert!(backends.iter().all(|pid| *pid == backends[0]), "{backends:?}");
    for setup in [PgBouncer::before(&postgres).prepared_statements(0), PgBouncer::before(&postgres).old()] {
        let error = take_turns(&postgres, setup).await.unwrap_err().to_string();
        assert!(error.contains("prepared statement"), "{error}");
    }
}

#[tokio::test]
async fn a_pooler_tells_its_release_and_can_be_stopped_and_started_again() {
    let (postgres, other) = tokio::join!(Postgres::start(), Postgres::start());
    other.create_database("far").await;
    let began = Instant::now();
    let mut pgbouncer = PgBouncer::before(&postgres).database("far", &other).start().await;
    println!("PgBouncer: ready after {:?}", began.elapsed());
    let old = PgBouncer::before(&postgres).old().start().await;
    for (pgbouncer, release) in [(&pgbouncer, "PgBouncer 1.2"), (&old, "PgBouncer 1.18")] {
        let version = Postgres::try_query(&pgbouncer.url("pgbouncer"), "SHOW VERSION").await.unwrap();
        assert!(version[0][0].starts_with(release), "{version:?}");
    }
    let near = pgbouncer.url("postgres");
    for (url, server) in [(&near, &postgres), (&pgbouncer.url("far"), &other)] {
        let directory = format!("{}/data", server.directory().display());
        assert_eq!(Postgres::try_query(url, "SHOW data_directory").await.unwrap(), [[directory]]);
    }
    pgbouncer.stop().await;
    assert!(Postgres::try_query(&near, "SELECT 1").await.is_err());
    pgbouncer.restart().await;
    assert_eq!(Postgres::try_query(&near, "SELECT 1").await.unwrap(), [["1"]]);
    let traces = Traces::of(&[pgbouncer.pid()], pgbouncer.directory());
    drop(pgbouncer);
    traces.assert_gone();
}
