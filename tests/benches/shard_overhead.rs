//! What routing costs: reads and writes through the shards of one PostgreSQL database beside bare
//! sea-orm on the same database, one after the other; and the fence's one round trip by itself.

#[path = "notes/mod.rs"]
mod notes;
#[path = "report/mod.rs"]
mod report;

use std::time::Instant;

use notes::{Notes, authors, insert};
use report::{Bar, Report, progress};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, EntityTrait, Statement,
    TransactionTrait,
};
use tripod::conformance::{Author, Note, note};
use tripod::id::{Clock, Id, IdGenerator};

const ROUNDS: usize = 9;
const READS: usize = 4_000;
const WRITES: usize = 1_000;
const BAR: Bar = Bar::RatioAtMost(1.05);

// On one thread: a call of the main task would else wake it on another than that which serves the
// sockets, and a write, whose work is a task of its own, would not.
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let notes = Notes::start(1).await;
    let mut options = ConnectOptions::new(notes.server.url(&notes.names[0]));
    options.max_connections(16).test_before_acquire(false).idle_timeout(None).max_lifetime(None);
    let bare =
        Database::connect(options.sqlx_logging(false).to_owned()).await.expect("a server that answers");
    let authors = authors(&notes.shards, 500).await;
    let mut ids = Vec::new();
    for author in &authors {
        ids.push(insert(&notes.shards, *author).await.expect("a row is written"));
    }
    let generator = IdGenerator::new(Clock::system());

    let (mut routed, mut direct) = (Vec::new(), Vec::new());
    let (mut fenced, mut same, mut unfenced, mut fences) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let (shards, rows) = (&notes.shards, notes.read());
        let id = |n: usize| ids[n % ids.len()];
        // Which one is first changes each round.
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                routed.push(
                    each(READS, async |n| assert!(rows.find(id(n)).await.expect("a read").is_some())).await,
                );
            } else {
                direct.push(each(READS, async |n| assert!(find(&bare, id(n)).await)).await);
            }
        }
        let author = |n: usize| authors[n % authors.len()];
        for turn in 0..2 {
            if (round + turn) % 2 == 0 {
                fenced.push(
                    each(WRITES, async |n| {
                        insert(shards, author(n)).await.expect("a write");
                    })
                    .await,
                );
            } else {
                same.push(each(WRITES, async |n| write(&bare, &generator, author(n), true).await).await);
            }
        }
        unfenced.push(each(WRITES, async |n| write(&bare, &generator, author(n), false).await).await);
        fences.push(same[round - 1] - unfenced[round - 1]);
        progress(&format!(
            "round {round} of {ROUNDS}: read {:.1} us, bare {:.1}; write {:.1} us, bare {:.1}",
            routed[round - 1],
            direct[round - 1],
            fenced[round - 1],
            same[round - 1]
        ));
    }
    let mut report = Report::new();
    report.rounds("read by id", (&routed, "us"), ("bare sea-orm", &direct), Some(BAR));
    report.rounds("write of a row", (&fenced, "us"), ("bare sea-orm, the same SQL", &same), Some(BAR));
    report.rounds("write of a row", (&fenced, "us"), ("bare sea-orm without the fence", &unfenced), None);
    report.alone("the fence's round trip", report::median(&fences), "us", None);
    report.note("one at a time; fsync is on");
    report.print();
}

/// Microseconds of each of so many calls, one after the other.
async fn each(count: usize, call: impl AsyncFn(usize)) -> f64 {
    let begun = Instant::now();
    for n in 0..count {
        call(n).await;
    }
    begun.elapsed().as_secs_f64() * 1e6 / count as f64
}

async fn find(bare: &DatabaseConnection, id: Id<Note>) -> bool {
    Note::find_by_id(id).one(bare).await.expect("a read").is_some()
}

/// What the framework sends for a new row, sent by hand.
async fn write(bare: &DatabaseConnection, generator: &IdGenerator, author: Id<Author>, fence: bool) {
    let transaction = bare.begin().await.expect("a transaction");
    if fence {
        let shard = i32::from(author.shard().number());
        let fence =
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT tripod_fence($1)", [shard.into()]);
        transaction.query_one_raw(fence).await.expect("the fence");
    }
    let row = note::ActiveModel {
        id: Set(generator.generate(author.shard()).expect("an id")),
        author_id: Set(author),
        text: Set("a note of some thirty characters".to_owned()),
    };
    let insert = Note::insert(row).on_conflict_do_nothing_on([note::Column::Id]);
    insert.exec_without_returning(&transaction).await.expect("an insert");
    transaction.commit().await.expect("a commit");
}
