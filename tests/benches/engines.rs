//! Durable single-row writes and reads by id through the framework, beside pgbench with the same SQL
//! on the same server, at 1, 8 and 32 clients, in turns.

#[path = "notes/mod.rs"]
mod notes;
#[path = "report/mod.rs"]
mod report;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use notes::{Notes, authors, insert, rate};
use report::{Bar, Report, progress};
use tripod::conformance::Note;
use tripod::id::Id;

const CLIENTS: [usize; 3] = [1, 8, 32];
const ROUNDS: usize = 5;
const WINDOW: Duration = Duration::from_secs(3);
/// Rows that reads choose from: they fit in memory.
const ROWS: usize = 20_000;
const WRITE_BAR: Bar = Bar::RatioAtLeast(0.8);
const READ_BAR: Bar = Bar::RatioAtLeast(0.6);

/// What the framework sends for one write, and for one read.
const WRITE: &str = "\\set id random(1, 4000000000000000000)
\\set shard random(0, 8191)
BEGIN;
SELECT tripod_fence(:shard::int);
INSERT INTO note (id, author_id, text) VALUES (:id, :shard * 1024, 'a note of some thirty characters') ON CONFLICT (id) DO NOTHING;
COMMIT;
";
/// The least that a durable write can be.
const BARE_WRITE: &str = "\\set id random(1, 4000000000000000000)
INSERT INTO note (id, author_id, text) VALUES (:id, 1024, 'a note of some thirty characters');
";

#[tokio::main]
async fn main() {
    let notes = Notes::start(1).await;
    let url = notes.server.url(&notes.names[0]);
    let scripts = tempfile::tempdir().expect("a temporary directory");
    progress("writing rows to read");
    let shards = notes.shards.clone();
    let authors = Arc::new(authors(&shards, 1_000).await);
    let mut ids: Vec<Id<Note>> = Vec::with_capacity(ROWS);
    for chunk in (0..ROWS).collect::<Vec<_>>().chunks(500) {
        let inserts = chunk.iter().map(|row| insert(&shards, authors[row % authors.len()]));
        ids.extend(futures::future::try_join_all(inserts).await.expect("rows can be written"));
    }
    let ids = Arc::new(ids);

    let mut report = Report::new();
    for clients in CLIENTS {
        let (mut writes, mut pgbench_writes, mut bare) = (Vec::new(), Vec::new(), Vec::new());
        let (mut reads, mut pgbench_reads) = (Vec::new(), Vec::new());
        for round in 1..=ROUNDS {
            let (shards, authors) = (notes.shards.clone(), authors.clone());
            let write = move |_| {
                let (shards, author) = (shards.clone(), authors[rand::random_range(0..authors.len())]);
                async move {
                    insert(&shards, author).await.expect("a row is written");
                }
            };
            writes.push(rate(clients, WINDOW, write).await);
            pgbench_writes.push(pgbench(&url, scripts.path(), WRITE, clients));
            bare.push(pgbench(&url, scripts.path(), BARE_WRITE, clients));
            let (rows, ids) = (notes.read(), ids.clone());
            let read = move |_| {
                let (rows, id) = (rows.clone(), ids[rand::random_range(0..ids.len())]);
                async move {
                    let found = rows.find(id).await.expect("a row can be read");
                    assert!(found.is_some(), "a row is missing");
                }
            };
            reads.push(rate(clients, WINDOW, read).await);
            pgbench_reads.push(pgbench(&url, scripts.path(), &read_script(&ids_of(&notes).await), clients));
            let last = |values: &[f64]| values.last().copied().unwrap_or_default();
            progress(&format!(
                "{clients} clients, round {round} of {ROUNDS}: {:.0} writes/s, pgbench {:.0}; {:.0} reads/s, pgbench {:.0}",
                last(&writes),
                last(&pgbench_writes),
                last(&reads),
                last(&pgbench_reads)
            ));
        }
        let name = |what: &str| format!("{what}, {clients} at once");
        report.rounds(
            name("durable writes"),
            (&writes, "writes/s"),
            ("pgbench, the same SQL", &pgbench_writes),
            Some(WRITE_BAR),
        );
        report.rounds(name("durable writes"), (&writes, "writes/s"), ("pgbench, a bare INSERT", &bare), None);
        report.rounds(
            name("reads by id"),
            (&reads, "reads/s"),
            ("pgbench, the same SQL", &pgbench_reads),
            Some(READ_BAR),
        );
    }
    report.note("a write is BEGIN with the fence, INSERT and COMMIT: three round trips; pgbench makes four");
    report.note("fsync is on; server, framework and pgbench share the machine's cores");
    report.print();
}

/// Ids that pgbench reads: a script can't hold them all.
async fn ids_of(notes: &Notes) -> Vec<String> {
    let sql = "SELECT id FROM note ORDER BY random() LIMIT 100";
    notes.server.query(&notes.names[0], sql).await.into_iter().flatten().collect()
}

/// Reads each of these ids: one transaction of pgbench is that many reads.
fn read_script(ids: &[String]) -> String {
    let read = |id: &String| {
        format!(
            "\\set id {id}\nSELECT note.id, note.author_id, note.text FROM note WHERE note.id = :id LIMIT 1;\n"
        )
    };
    ids.iter().map(read).collect()
}

/// Statements a second (each `SELECT ... LIMIT 1` of a script counts; any other script is one).
fn pgbench(url: &str, scripts: &Path, script: &str, clients: usize) -> f64 {
    let path = scripts.join("script.sql");
    std::fs::write(&path, script).expect("a script can be written");
    let program = tripod_tests::servers::pgbench();
    let output = Command::new(program)
        .args(["--no-vacuum", "--protocol=prepared", "--time"])
        .arg(WINDOW.as_secs().to_string())
        .args(["--client", &clients.to_string(), "--jobs", &clients.min(2).to_string(), "--file"])
        .arg(&path)
        .arg(url)
        .output()
        .expect("pgbench can be run");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next()).and_then(|rate| rate.parse::<f64>().ok());
    let each = script.matches("LIMIT 1;").count().max(1);
    rate.unwrap_or_else(|| panic!("pgbench names no rate: {text}")) * each as f64
}
