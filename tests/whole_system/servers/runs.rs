//! The servers that a test run shares, and a service's installation on them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tokio::net::TcpStream;
use tripod_tests::servers::{Postgres, Redis, Shared};
use tripod_tests::{Stored, eventually};

use crate::SOON;

/// Runs a shell command with servers; also returns the first line of its output.
fn run(line: &str) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_servers"));
    command.args(["sh", "-c", line]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut printed = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut printed).unwrap();
    (child, printed.trim().to_owned())
}

fn addresses(printed: &str) -> Vec<String> {
    let urls = printed.split([',', ' ']);
    urls.map(|url| url.rsplit(['@', '/']).next().unwrap().to_owned()).collect()
}

const PRINT: &str = "echo $TEST_POSTGRES $TEST_PGBOUNCER $TEST_REDIS";

#[tokio::test]
async fn servers_run_for_as_long_as_a_command_and_end_with_its_status() {
    let began = Instant::now();
    let (mut child, printed) = run(&format!("{PRINT}; read line < /dev/null; exit 7"));
    println!("the shared set: ready after {:?}", began.elapsed());
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let addresses = addresses(&printed);
    assert_eq!(addresses.len(), 5, "{printed}");
    for address in addresses {
        assert!(TcpStream::connect(&address).await.is_err(), "somebody listens on {address}");
    }
}

#[tokio::test]
async fn servers_end_with_a_run_that_is_terminated_or_killed() {
    for (signal, code) in [("-KILL", None), ("-TERM", Some(9))] {
        let line = format!("trap 'exit 9' TERM; {PRINT}; for n in $(seq 300); do sleep 0.1; done");
        let (mut child, printed) = run(&line);
        for address in addresses(&printed) {
            TcpStream::connect(&address).await.unwrap();
        }
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), code);
        for address in addresses(&printed) {
            eventually("the server ends", SOON, async || {
                TcpStream::connect(&address).await.is_err().then_some(())
            })
            .await;
        }
        // The killed process could not remove its directories: the next process that starts a server
        // does.
        Redis::start().await;
        let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let prefix = format!("tripod-servers-{}-", child.id());
        let mut left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
        assert!(left.next().is_none());
    }
}

#[tokio::test]
async fn an_installation_is_empty_its_own_and_gone_when_it_is_dropped() {
    let shared = Shared::get().await;
    let began = Instant::now();
    let installation = shared.installation().await;
    println!("an installation: made in {:?}", began.elapsed());
    let other = shared.installation().await;
    let [own, others] = [&installation, &other].map(|made| made.databases());
    assert!(own.len() == 2 && own.iter().all(|url| !others.contains(url)), "{own:?} {others:?}");
    for (pooled, direct) in own.iter().zip(installation.direct()) {
        let (url, address) = pooled.split_once("?direct=").unwrap();
        assert!(direct.contains(&format!("@{address}/")));
        Postgres::try_query(url, "CREATE TABLE t (n int)").await.unwrap();
        assert_eq!(Postgres::try_query(&direct, "SELECT count(*) FROM t").await.unwrap(), [["0"]]);
    }
    let redis = installation.redis();
    let (url, prefix) = redis.split_once("?prefix=").unwrap();
    let mut connection = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut set = |key: &str| redis::cmd("SET").arg(key).arg(1).exec(&mut connection).unwrap();
    let (ours, theirs) = (format!("{prefix}key"), format!("other-{prefix}key"));
    set(&ours);
    set(&theirs);

    let direct = installation.direct();
    drop(installation);
    for url in &direct {
        let error = Postgres::try_query(url, "SELECT 1").await.unwrap_err();
        assert!(error.contains("does not exist"), "{error}");
    }
    let mut exists = |key: &str| redis::cmd("EXISTS").arg(key).query::<bool>(&mut connection).unwrap();
    assert_eq!((exists(&ours), exists(&theirs)), (false, true));
    Postgres::try_query(&other.direct()[0], "SELECT 1").await.unwrap();
}

#[tokio::test]
async fn rows_look_alike_whatever_they_are_read_from() {
    let place = tempfile::tempdir().unwrap();
    let files =
        ["a.db", "b.db"].map(|name| format!("sqlite://{}?mode=rwc", place.path().join(name).display()));
    let installation = Shared::get().await.installation().await;
    let mut seen = Vec::new();
    for (databases, bytes, blob) in
        [(&files[..], "BLOB", "X'00FF61'"), (&installation.direct()[..], "BYTEA", "'\\x00ff61'")]
    {
        for database in databases {
            let table = format!(
                "CREATE TABLE \"thing\" (id BIGINT PRIMARY KEY, live BOOLEAN, word TEXT, raw {bytes}, small SMALLINT)"
            );
            let rows = format!(
                "INSERT INTO thing VALUES (1, TRUE, 'it''s | \\', {blob}, -3), (2, FALSE, '', NULL, NULL)"
            );
            for sql in [&table, &rows] {
                Stored::query_one(database, sql).await;
            }
        }
        seen.push(Stored::read_from(databases, place.path()).await.tables);
    }
    assert_eq!(seen[0], seen[1]);
    let first = "id=1|live=1|word='it''s | \\'|raw=X'00FF61'|small=-3";
    let second = "id=2|live=0|word=''|raw=NULL|small=NULL";
    assert_eq!(seen[1]["thing"], [first, first, second, second]);
}
