//! PostgreSQL as a person sets it up: what is wrong with a list of databases is told at start, and a
//! server that goes away takes only its own shards along.

mod commit;
mod disk_full;
mod mistakes;
mod outage;
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
