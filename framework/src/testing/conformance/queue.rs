//! Queues: a job runs if its transaction commits, at least once, and comes to an end.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::testing::notes::author;
use crate::testing::{Backing, Stores, eventually};

/// What the jobs of a test did, by the test's own word.
static DONE: LazyLock<Mutex<HashMap<String, Vec<u32>>>> = LazyLock::new(Mutex::default);

/// What a job notes when it stops for ever.
const HANGS: u32 = u32::MAX;

fn note(word: &str, step: u32) {
    DONE.lock().expect("no job panics while holding this").entry(word.to_owned()).or_default().push(step);
}

fn done(word: &str) -> Vec<u32> {
    DONE.lock().expect("no job panics while holding this").get(word).cloned().unwrap_or_default()
}

/// A job that notes each attempt, and fails, panics or hangs as told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noted {
    word: String,
    steps: u32,
    fail_until: u32,
    hang_at: Option<u32>,
    panic: bool,
}

impl Job for Noted {
    const NAME: &'static str = "noted";
    const RETRIES: u32 = 2;
}

impl Run<Stores> for Noted {
    async fn run(&mut self, _: &Stores, run: &JobRun) -> anyhow::Result<()> {
        DONE.lock()
            .expect("held by nobody who panics")
            .entry(self.word.clone())
            .or_default()
            .push(self.steps);
        assert!(!self.panic, "on purpose");
        if self.hang_at == Some(self.steps) && run.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        anyhow::ensure!(run.attempt() >= self.fail_until, "not yet");
        while self.steps > 0 {
            self.steps -= 1;
            run.checkpoint(self).await?;
            if self.hang_at == Some(self.steps) && run.attempt() == 1 {
                note(&self.word, HANGS);
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }
}

/// A job that nobody registers.
#[derive(Debug, Serialize, Deserialize)]
struct Unregistered;

impl Job for Unregistered {
    const NAME: &'static str = "unregistered";
    const RETRIES: u32 = 0;
}

impl Run<Stores> for Unregistered {
    async fn run(&mut self, _: &Stores, _: &JobRun) -> anyhow::Result<()> {
        Ok(())
    }
}

fn noted(word: &str) -> Noted {
    let unique = format!("{word}-{:x}", rand::random::<u64>());
    Noted { word: unique, steps: 0, fail_until: 0, hang_at: None, panic: false }
}

async fn stores(backing: Backing) -> Stores {
    Stores::with_jobs(backing, |registry| registry.register::<Noted>()).await
}

/// Does something to the database of an author that the framework never does.
async fn execute(stores: &Stores, author: Id<author::Entity>, sql: &'static str) {
    let database = stores.shards.database(author.shard()).clone();
    let executed = database.write::<_, Error, _>(move |transaction| {
        Box::pin(async move {
            transaction.execute_unprepared(sql).await?;
            Ok(())
        })
    });
    executed.await.unwrap();
}

/// A job whose transaction is undone never runs; one whose transaction commits does.
pub async fn a_job_commits_with_its_transaction(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    let (kept, undone) = (noted("kept"), noted("undone"));
    let (queue, job) = (stores.queue.clone(), undone.clone());
    let failed = stores.shards.write::<(), Error, _>(author.shard(), move |tx| {
        Box::pin(async move {
            queue.enqueue(tx, &job).await?;
            Err(Error::invalid("on purpose"))
        })
    });
    failed.await.unwrap_err();
    stores.enqueue(author, kept.clone()).await.unwrap();
    stores.idle().await;
    assert_eq!(done(&kept.word), [0]);
    assert!(done(&undone.word).is_empty());
}

/// A failing job is tried again, later each time, until it is put aside; a person can revive it.
pub async fn failures_back_off_and_end_as_dead_letters(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    let job = Noted { fail_until: 4, ..noted("fails") };
    let id = stores.enqueue(author, job.clone()).await.unwrap();
    eventually("the first attempt", async || (done(&job.word).len() == 1).then_some(())).await;
    for attempts in 2..=3 {
        // It comes back when its time has come, not before: so the clock must move.
        eventually("another attempt", async || {
            stores.clock.advance(Duration::from_millis(500));
            (done(&job.word).len() == attempts).then_some(())
        })
        .await;
    }
    let dead = eventually("the job is dead", async || stores.queue.dead().await.unwrap().pop()).await;
    assert_eq!((dead.id, dead.name.as_str(), dead.attempts), (id, "noted", 3));
    assert_eq!(dead.last_error.as_deref(), Some("not yet"));
    assert!(stores.queue.retry(id).await.unwrap());
    assert!(!stores.queue.retry(id).await.unwrap(), "it is not dead any more");
    eventually("it runs again", async || (done(&job.word).len() > 3).then_some(())).await;
}

/// A panic is a failure of the job, not of the worker.
pub async fn a_panic_is_a_failed_attempt(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    stores.enqueue(author, Noted { panic: true, ..noted("panics") }).await.unwrap();
    let dead = eventually("the panicking job is dead", async || {
        stores.clock.advance(Duration::from_secs(10));
        stores.queue.dead().await.unwrap().pop()
    })
    .await;
    assert!(dead.last_error.unwrap().contains("panicked"));
    let after = noted("after");
    stores.enqueue(author, after.clone()).await.unwrap();
    eventually("the worker goes on", async || (done(&after.word) == [0]).then_some(())).await;
}

/// Of many jobs that are due none is leased that is not begun: the clock stands, so no lease ends.
pub async fn many_due_jobs_are_each_begun_when_they_are_leased(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    stores.enqueue(author, noted("first")).await.unwrap();
    execute(&stores, author, "DELETE FROM tripod_job").await;
    // Of a table that it has seen empty PostgreSQL expects a single row, and plans loops.
    execute(&stores, author, "ANALYZE tripod_job").await;
    for _ in 0..100 {
        stores.enqueue(author, noted("due")).await.unwrap();
    }
    let _worker = stores.work();
    stores.idle().await;
}

/// A job whose worker vanishes is taken over when its lease ends, and goes on from where it was.
pub async fn a_vanished_worker_is_taken_over_in_the_middle(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let job = Noted { steps: 5, hang_at: Some(2), ..noted("taken-over") };
    let first = stores.work();
    stores.enqueue(author, job.clone()).await.unwrap();
    eventually("the job is half done", async || (done(&job.word) == [5, HANGS]).then_some(())).await;
    drop(first);
    let second = stores.reopened_with(|registry| registry.register::<Noted>()).await;
    let _worker = second.work();
    // Before the lease's end nobody may take it; after that somebody must.
    stores.clock.advance(Duration::from_secs(16));
    second.idle().await;
    assert_eq!(done(&job.word), [5, HANGS, 2], "the second attempt began where the first had got to");
}

/// A job that ends its process each time is put aside without being run once more.
pub async fn a_job_that_kills_its_process_ends_too(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let job = noted("poison");
    stores.enqueue(author, job.clone()).await.unwrap();
    // Three processes claimed it and died: the attempts are counted, nothing else happened.
    execute(&stores, author, "UPDATE tripod_job SET attempt = 3").await;
    let _worker = stores.work();
    let dead = eventually("the poison is put aside", async || stores.queue.dead().await.unwrap().pop()).await;
    assert!(dead.last_error.unwrap().contains("ended its process"));
    assert!(done(&job.word).is_empty(), "it was not run again");
}

/// A job of a name nobody registered is an error when enqueued, and at start.
pub async fn an_unregistered_job_is_an_error(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let refused = stores.enqueue(author, Unregistered).await.unwrap_err();
    assert!(refused.is_configuration() && refused.to_string().contains("unregistered"), "{refused}");
    stores.enqueue(author, noted("left")).await.unwrap();
    let other = stores.reopened().await;
    let refused = other.queue.check_registered().await.unwrap_err();
    assert!(refused.to_string().contains("noted"), "{refused}");
}
