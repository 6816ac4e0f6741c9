//! Tests of the test servers: each starts, responds, survives what tests do to it, and leaves neither a
//! process nor a directory behind.

mod poolers;
mod proxies;
mod redises;
mod runs;

use std::path::{Path, PathBuf};
use std::time::Instant;

use tripod_tests::servers::Postgres;

/// What must be gone once a server is gone.
struct Traces {
    pids: Vec<u32>,
    directories: Vec<PathBuf>,
}

impl Traces {
    fn of(pids: &[u32], directory: &Path) -> Self {
        assert!(directory.exists());
        // Including the processes that it has started.
        let all = pids.iter().flat_map(|pid| [vec![*pid], children(*pid)].concat()).collect();
        Self { pids: all, directories: vec![directory.to_owned()] }
    }

    fn assert_gone(&self) {
        let left: Vec<_> = self.pids.iter().filter(|pid| runs(**pid)).collect();
        assert!(left.is_empty(), "of {:?} are left: {left:?}", self.pids);
        let left: Vec<_> = self.directories.iter().filter(|directory| directory.exists()).collect();
        assert!(left.is_empty(), "directories are left: {left:?}");
    }
}

/// Whether the process is running; a zombie is not.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    tasks.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

#[tokio::test]
async fn postgres_keeps_what_it_acknowledged_through_stops_and_kills() {
    let began = Instant::now();
    let mut postgres = Postgres::start().await;
    println!("PostgreSQL: ready after {:?}", began.elapsed());
    assert_eq!(postgres.query("postgres", "SHOW fsync").await, [["on"]]);
    postgres.create_database("own").await;
    postgres.query("own", "CREATE TABLE kept (n int, word text)").await;
    assert_eq!(postgres.query("own", "SELECT * FROM kept").await, Vec::<Vec<String>>::new());
    let port = postgres.port();
    for n in 1..=3 {
        postgres.query("own", &format!("INSERT INTO kept VALUES ({n}, '')")).await;
        if n == 2 {
            postgres.kill().await;
        }
        postgres.restart().await;
        assert_eq!(postgres.port(), port);
    }
    postgres.query("own", "UPDATE kept SET word = E'two\\nlines, a | and a \\t' WHERE n = 3").await;
    let rows = [["1", ""], ["2", ""], ["3", "two\nlines, a | and a \t"]];
    assert_eq!(postgres.query("own", "SELECT * FROM kept ORDER BY n").await, rows);

    let traces = Traces::of(&[postgres.pid()], postgres.directory());
    assert!(traces.pids.len() > 3, "it has processes of its own: {:?}", traces.pids);
    drop(postgres);
    traces.assert_gone();
}

#[tokio::test]
async fn a_paused_postgres_answers_nobody_until_it_is_resumed() {
    let mut postgres = Postgres::start_with(&[("fsync", "off")]).await;
    assert_eq!(postgres.query("postgres", "SHOW fsync").await, [["off"]]);
    postgres.pause();
    let traces = Traces::of(&[postgres.pid()], postgres.directory());
    let asked = Box::pin(postgres.query("postgres", "SELECT 1"));
    let patience = std::time::Duration::from_millis(300);
    assert!(tokio::time::timeout(patience, asked).await.is_err(), "it answered");
    postgres.resume();
    assert_eq!(postgres.query("postgres", "SELECT 1").await, [["1"]]);
    postgres.pause();
    drop(postgres);
    traces.assert_gone();
}

#[tokio::test]
async fn a_postgres_with_tls_takes_nothing_else_and_has_a_certificate() {
    let postgres = Postgres::start_with_tls().await;
    let of = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(postgres.query("postgres", of).await, [["TLSv1.3"]]);
    let url = postgres.url("postgres");
    let plain = url.replace("verify-full", "disable");
    let refused = Postgres::try_query(&plain, "SELECT 1").await.unwrap_err();
    assert!(refused.contains("no encryption"), "{refused}");
    let other = Postgres::start_with_tls().await;
    let [own, others] = [&postgres, &other].map(|server| server.authority().display().to_string());
    let refused = Postgres::try_query(&url.replace(&own, &others), "SELECT 1").await.unwrap_err();
    assert!(refused.contains("certificate verify failed"), "{refused}");
}

#[tokio::test]
async fn servers_start_side_by_side() {
    let started = futures::future::join_all((0..4).map(|_| Postgres::start())).await;
    for postgres in &started {
        let directory = format!("{}/data", postgres.directory().display());
        assert_eq!(postgres.query("postgres", "SHOW data_directory").await, [[directory]]);
    }
}
