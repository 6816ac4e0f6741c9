//! 1,000 rows by their ids from four PostgreSQL databases: one query a database, all at once, beside
//! the slowest of those queries in the same call.

#[path = "notes/mod.rs"]
mod notes;
#[path = "report/mod.rs"]
mod report;

use std::sync::{Arc, Mutex};
use std::time::Instant;

use notes::{Notes, authors, insert};
use report::{Bar, Report, ms, progress};
use tripod::shard::{Consistency, Shards};

const DATABASES: usize = 4;
const ROWS: usize = 1_000;
const CALLS: usize = 200;

#[tokio::main]
async fn main() {
    let notes = Notes::start(DATABASES).await;
    let authors = authors(&notes.shards, 500).await;
    progress("writing rows to read");
    let inserts = (0..ROWS).map(|n| insert(&notes.shards, authors[n % authors.len()]));
    let ids = futures::future::try_join_all(inserts).await.expect("rows can be written");

    // The same databases, telling how long each query took.
    let queries = Arc::new(Mutex::new(Vec::new()));
    let observed = notes.stores.shards.databases().iter().cloned().map(|database| {
        let queries = queries.clone();
        database.observed(move |_, took| queries.lock().expect("nobody panics with it").push(took))
    });
    let shards =
        Shards::open(observed.collect(), notes.stores.clock.clone(), notes.stores.shards.cache().clone())
            .await
            .expect("the same databases");
    let read = shards.read(Consistency::Primary);
    let (mut totals, mut slowest) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        queries.lock().expect("nobody panics with it").clear();
        let begun = Instant::now();
        let found = read.find_many(&ids).await.expect("rows can be read");
        totals.push(ms(begun.elapsed()));
        assert_eq!(found.len(), ROWS, "rows are missing");
        let queries = queries.lock().expect("nobody panics with it");
        assert_eq!(queries.len(), DATABASES, "one query a database");
        slowest.push(ms(queries.iter().copied().max().unwrap_or_default()));
    }
    let mut report = Report::new();
    report.rounds(
        "1,000 rows by id from 4 databases",
        (&totals, "ms"),
        ("the slowest of its four queries", &slowest),
        Some(Bar::RatioAtMost(1.5)),
    );
    report.alone(
        "queries of one call",
        DATABASES as f64,
        "queries",
        Some(Bar::ValueAtMost(DATABASES as f64)),
    );
    report.note("the four databases are on one server; it and the caller share two cores");
    report.print();
}
