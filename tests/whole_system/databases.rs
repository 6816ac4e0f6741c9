//! PostgreSQL as an operator sets it up: mistakes in a list of databases are reported at start, and a
//! server that goes down affects only its own shards.

mod absence;
mod agreement;
mod clocks;
mod commit;
mod connections;
mod disk_full;
mod mistakes;
mod outage;
mod promotion;
mod queue;
mod several;

use tripod_tests::Setup;

/// A service on these databases, by their addresses, without Redis.
fn on(databases: &[String]) -> Setup {
    Setup::embedded().set("TRIPOD_DATABASES", databases.join(","))
}

/// The same, migrated.
async fn migrated(databases: &[String]) -> Setup {
    let directory = tempfile::tempdir().unwrap();
    let exit = on(databases).run(directory.path(), &["migrate"]).await;
    assert!(exit.status.success(), "{exit:?}");
    on(databases)
}
