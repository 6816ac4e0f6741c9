//! Group commit: writes that arrive together share one transaction and one fsync.
//!
//! One task owns the writing connection. It takes what is queued, runs each piece of work in its own
//! savepoint, commits once, and only then replies to the callers. Failed work is also answered after the
//! commit, because it may have read what earlier work in the same group wrote.
//!
//! The log (WAL) contains old versions of pages, with rows that were deleted since. The task empties it
//! whenever nothing has been written for a second.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions,
    TransactionTrait,
};
use tokio::sync::{mpsc, oneshot};

use super::{Transaction, WORK_DEADLINE, statement};
use crate::error::{Error, Result};

/// Maximum writes per commit: bounds how long the first of them waits for the last.
const GROUP: usize = 64;
/// Maximum waiting writes; one more waits [`QUEUE_WAIT`] for a place and is then refused.
const QUEUE: usize = 1024;
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// How long nothing is written before the log is emptied.
const IDLE: Duration = Duration::from_secs(1);

/// A handle on the task that owns the writing connection. The task ends with the last handle.
#[derive(Clone, Debug)]
pub(super) struct GroupCommit {
    queue: mpsc::Sender<Work>,
    name: std::sync::Arc<str>,
}

/// Runs inside the transaction; its outcome says whether to keep its changes.
type Work = Box<dyn FnOnce(Transaction) -> BoxFuture<'static, Outcome> + Send>;

struct Outcome {
    keep: bool,
    /// Replies to the caller, once the result of the group's commit is known.
    settle: Box<dyn FnOnce(Result<()>) + Send>,
}

impl GroupCommit {
    pub(super) fn start(name: &str, connection: DatabaseConnection) -> Self {
        let (queue, works) = mpsc::channel(QUEUE);
        let name: std::sync::Arc<str> = name.into();
        tokio::spawn(run(name.clone(), connection, works));
        Self { queue, name }
    }

    pub(super) async fn write<R, F, Done>(&self, work: F) -> Result<R>
    where
        F: FnOnce(Transaction) -> Done + Send + 'static,
        Done: Future<Output = Result<R>> + Send + 'static,
        R: Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<R>>();
        let name = self.name.clone();
        let work: Work = Box::new(move |transaction| {
            async move {
                let bounded =
                    tokio::time::timeout(WORK_DEADLINE, AssertUnwindSafe(work(transaction)).catch_unwind());
                let result = match bounded.await {
                    Ok(Ok(result)) => result,
                    Ok(Err(_)) => Err(Error::internal(format!("a write to {name} panicked and was undone"))),
                    Err(_) => Err(Error::unavailable(format!(
                        "a write to {name} took longer than {} s and was undone",
                        WORK_DEADLINE.as_secs()
                    ))),
                };
                let keep = result.is_ok();
                // A caller that has gone away needs no answer.
                let settle = Box::new(move |committed: Result<()>| {
                    drop(answer.send(committed.and(result)));
                });
                Outcome { keep, settle }
            }
            .boxed()
        });
        let full = |_| Error::overloaded(format!("too many writes wait for {}; try again", self.name));
        self.queue.send_timeout(work, QUEUE_WAIT).await.map_err(full)?;
        answered.await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("the writer of {} ended before it answered", self.name)))
        })
    }
}

async fn run(name: std::sync::Arc<str>, connection: DatabaseConnection, mut works: mpsc::Receiver<Work>) {
    let mut group = Vec::with_capacity(GROUP);
    // A process that was killed leaves its log behind.
    let mut log_is_empty = false;
    loop {
        let received = works.recv_many(&mut group, GROUP);
        let received = match log_is_empty {
            true => received.await,
            false => match tokio::time::timeout(IDLE, received).await {
                Ok(received) => received,
                Err(_) => {
                    log_is_empty = empty_log(&name, &connection).await;
                    continue;
                }
            },
        };
        if received == 0 {
            return;
        }
        log_is_empty = false;
        let mut outcomes = Vec::with_capacity(group.len());
        let committed = commit(&connection, group.drain(..), &mut outcomes).await;
        if let Err(error) = &committed {
            // The callers of work that did not begin see only a closed channel: log the reason here.
            tracing::error!(database = %name, %error, "a group of writes was not committed");
        }
        for Outcome { settle, .. } in outcomes {
            settle(match &committed {
                Ok(()) => Ok(()),
                Err(error) => {
                    Err(Error::unavailable(format!("{name} could not commit, nothing was changed"))
                        .because(error.to_string()))
                }
            });
        }
    }
}

/// Copies the log into the file and empties it; returns whether it is empty. If a reader uses the log, it is
/// left for later: writes do not wait for readers. After an error it is left until something is written.
async fn empty_log(name: &str, connection: &DatabaseConnection) -> bool {
    let emptied = async {
        let wait = connection.query_one_raw(statement(connection, "PRAGMA busy_timeout", [])).await?;
        let wait: i32 = wait.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        connection.execute_unprepared("PRAGMA busy_timeout = 0").await?;
        let emptied =
            connection.query_one_raw(statement(connection, "PRAGMA wal_checkpoint(TRUNCATE)", [])).await;
        connection.execute_unprepared(&format!("PRAGMA busy_timeout = {wait}")).await?;
        let is_busy: Option<i32> = emptied?.map(|row| row.try_get_by_index(0)).transpose()?;
        Ok::<_, sea_orm::DbErr>(is_busy == Some(0))
    };
    emptied.await.unwrap_or_else(|error| {
        tracing::warn!(database = name, %error, "the log of the database was not emptied");
        true
    })
}

/// Runs the group and commits it. Work that never began is dropped, which closes its caller's channel.
async fn commit(
    connection: &DatabaseConnection,
    mut group: impl ExactSizeIterator<Item = Work>,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), sea_orm::DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    let transaction = connection.begin_with_options(options).await?;
    if group.len() == 1
        && let Some(work) = group.next()
    {
        return run_one(transaction, work, outcomes).await;
    }
    for work in group {
        run_one(transaction.begin().await?, work, outcomes).await?;
    }
    transaction.commit().await
}

/// Runs one piece of work in a transaction or savepoint, and keeps its changes if its outcome says so.
async fn run_one(
    begun: DatabaseTransaction,
    work: Work,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), sea_orm::DbErr> {
    let transaction = Transaction::sqlite(begun);
    let outcome = work(transaction.clone()).await;
    let keep = outcome.keep;
    outcomes.push(outcome);
    if keep { transaction.commit().await } else { transaction.rollback().await }
}

#[cfg(test)]
mod tests {
    use sea_orm::ConnectionTrait;

    use super::super::Database;
    use crate::error::{Error, Result};

    async fn open() -> (tempfile::TempDir, Database) {
        let directory = tempfile::tempdir().unwrap();
        let settings =
            crate::config::Database { readers: 2, connections: 1, wait_seconds: 5, statement_seconds: 10 };
        let url = format!("sqlite://{}", directory.path().join("a.db").display());
        let database = Database::open(&url, &settings).await.unwrap();
        database
            .write(|tx| async move {
                Ok(tx.execute_unprepared("CREATE TABLE t (n INTEGER PRIMARY KEY)").await?)
            })
            .await
            .unwrap();
        (directory, database)
    }

    async fn insert(database: &Database, n: i64, fail: bool) -> Result<()> {
        database
            .write(move |tx| async move {
                tx.execute_unprepared(&format!("INSERT INTO t VALUES ({n})")).await?;
                if fail { Err(Error::invalid("on purpose")) } else { Ok(()) }
            })
            .await
    }

    async fn numbers(database: &Database) -> Vec<i64> {
        let rows = database.reader().query_all_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Sqlite,
            "SELECT n FROM t ORDER BY n",
        ));
        rows.await.unwrap().iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    #[tokio::test]
    async fn a_failing_write_takes_no_other_of_its_group_along() {
        let (_directory, database) = open().await;
        let writes = (0..200).map(|n| {
            let database = database.clone();
            async move { (n, insert(&database, n, n % 3 == 0).await) }
        });
        for (n, result) in futures::future::join_all(writes).await {
            assert_eq!(result.is_err(), n % 3 == 0, "{n}: {result:?}");
        }
        let expected: Vec<i64> = (0..200).filter(|n| n % 3 != 0).collect();
        assert_eq!(numbers(&database).await, expected);
    }

    #[tokio::test]
    async fn a_conflict_or_a_panic_is_answered_and_the_writer_goes_on() {
        let (_directory, database) = open().await;
        insert(&database, 1, false).await.unwrap();
        assert!(insert(&database, 1, false).await.unwrap_err().is_conflict());
        let panicked = database.write::<(), _, _>(|_| async { panic!("on purpose") }).await;
        assert!(panicked.unwrap_err().to_string().contains("panicked"));
        insert(&database, 2, false).await.unwrap();
        assert_eq!(numbers(&database).await, [1, 2]);
    }

    #[tokio::test]
    async fn a_transaction_that_outlives_its_work_refuses_every_statement() {
        let (_directory, database) = open().await;
        let kept = database.write(|tx| async move { Ok(tx) }).await.unwrap();
        let refused = kept.execute_unprepared("INSERT INTO t VALUES (1)").await.unwrap_err();
        assert!(refused.to_string().contains("has ended"), "{refused}");
        insert(&database, 2, false).await.unwrap();
        assert_eq!(numbers(&database).await, [2]);
    }

    #[tokio::test]
    async fn a_write_ends_though_its_caller_is_gone() {
        let (_directory, database) = open().await;
        let (began, begun) = tokio::sync::oneshot::channel();
        let write = database.write(move |tx| async move {
            began.send(()).unwrap();
            tx.execute_unprepared("INSERT INTO t VALUES (7)").await?;
            Ok(())
        });
        tokio::select! {
            biased;
            _ = write => panic!("the write was not dropped half-way"),
            _ = begun => {}
        }
        insert(&database, 8, false).await.unwrap();
        assert_eq!(numbers(&database).await, [7, 8]);
    }

    /// Simulates a full disk: the statement fails, and SQLite rolls the transaction back by itself.
    async fn fill(database: &Database) -> Result<()> {
        database
            .write(|tx| async move {
                tx.execute_unprepared("CREATE TABLE big (b BLOB)").await?;
                tx.execute_unprepared("INSERT INTO big VALUES (zeroblob(10000000))").await?;
                Ok(())
            })
            .await
    }

    async fn limit_pages(database: &Database, pages: u32) {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        let limited =
            database.write(move |tx| async move { Ok(tx.execute_unprepared(&pragma).await.map(drop)?) });
        limited.await.unwrap();
    }

    #[tokio::test]
    async fn after_a_full_disk_what_is_acknowledged_is_committed() {
        let (_directory, database) = open().await;
        let mut acknowledged = 0;
        for round in 0..3 {
            // The limit belongs to the connection, which does not survive a full disk.
            limit_pages(&database, 100).await;
            fill(&database).await.unwrap_err();
            limit_pages(&database, 100).await;
            let inserts = (0..5).map(|n| insert(&database, round * 100 + n, false));
            let (filled, inserted) =
                futures::future::join(fill(&database), futures::future::join_all(inserts)).await;
            filled.unwrap_err();
            acknowledged += inserted.iter().filter(|result| result.is_ok()).count();
            // A lone write that is undone, then one that counts.
            insert(&database, round * 100 + 50, true).await.unwrap_err();
            insert(&database, round * 100 + 51, false).await.unwrap();
            acknowledged += 1;
            assert_eq!(numbers(&database).await.len(), acknowledged, "an acknowledged write is missing");
        }
    }
}
