//! Queues: a job runs if its transaction commits, at least once, and comes to an end.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::conformance::{Author, Keeps, Note, Reads, Stores, note};
use crate::db::statement;
use crate::error::{BoxError, Error};
use crate::id::Id;
use crate::queue::{Job, JobRun, Run};
use crate::shard::Keyset;
use crate::testing::{Backing, eventually};

/// The steps done by a test's jobs, by the test's word.
static DONE: LazyLock<Mutex<HashMap<String, Vec<u32>>>> = LazyLock::new(Mutex::default);

/// Jobs that come together: more than one transaction takes.
const TOGETHER: usize = 300;

/// Recorded by a job that hangs.
const HANGS: u32 = u32::MAX;

fn write_down(word: &str, step: u32) {
    DONE.lock().expect("no job panics while holding this").entry(word.to_owned()).or_default().push(step);
}

pub(super) fn done(word: &str) -> Vec<u32> {
    DONE.lock().expect("no job panics while holding this").get(word).cloned().unwrap_or_default()
}

/// A job that records each attempt, and fails, panics or hangs as configured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Noted {
    pub(super) word: String,
    pub(super) steps: u32,
    pub(super) fail_until: u32,
    pub(super) hang_at: Option<u32>,
    pub(super) panic: bool,
    /// A store is away until this attempt.
    pub(super) away_until: u32,
    /// The first attempt's lease expires while it runs.
    pub(super) loses_lease: bool,
}

impl Job for Noted {
    const NAME: &'static str = "noted";
    const RETRIES: u32 = 2;
}

impl Run<Stores> for Noted {
    async fn run(&mut self, _: &Stores, run: &JobRun) -> Result<(), BoxError> {
        DONE.lock()
            .expect("no job panics while holding this")
            .entry(self.word.clone())
            .or_default()
            .push(self.steps);
        assert!(!self.panic, "on purpose");
        if self.hang_at == Some(self.steps) && run.attempt() == 1 {
            std::future::pending::<()>().await;
        }
        if self.loses_lease && run.attempt() == 1 {
            self.be_claimed_again(run).await?;
        }
        if run.attempt() < self.away_until {
            return Err(Error::unavailable("the store is away").into());
        }
        if run.attempt() < self.fail_until {
            return Err("not yet".into());
        }
        while self.steps > 0 {
            self.steps -= 1;
            run.checkpoint(self).await?;
            if self.hang_at == Some(self.steps) && run.attempt() == 1 {
                write_down(&self.word, HANGS);
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }
}

impl Noted {
    /// What another worker does once the lease has expired, and dies.
    async fn be_claimed_again(&self, run: &JobRun) -> crate::Result<()> {
        let pattern = format!("%{}%", self.word);
        for database in run.shards().databases() {
            let pattern = pattern.clone();
            let claimed = database.write(move |transaction| async move {
                let sql = "UPDATE tripod_job SET attempt = attempt + 1 WHERE payload LIKE $1";
                let claimed = statement(&transaction, sql, [pattern.into()]);
                Ok(transaction.execute_raw(claimed).await?)
            });
            claimed.await?;
        }
        Ok(())
    }
}

/// A job that is never registered.
#[derive(Debug, Serialize, Deserialize)]
struct Unregistered;

impl Job for Unregistered {
    const NAME: &'static str = "unregistered";
    const RETRIES: u32 = 0;
}

impl Run<Stores> for Unregistered {
    async fn run(&mut self, _: &Stores, _: &JobRun) -> Result<(), BoxError> {
        Ok(())
    }
}

pub(super) fn noted(word: &str) -> Noted {
    Noted {
        word: format!("{word}-{:x}", rand::random::<u64>()),
        steps: 0,
        fail_until: 0,
        hang_at: None,
        panic: false,
        away_until: 0,
        loses_lease: false,
    }
}

pub(super) async fn stores(backing: Backing) -> Stores {
    Stores::with_jobs(backing, |registry| registry.register::<Noted>()).await
}

/// Runs SQL on an author's database that the framework never runs.
pub(super) async fn execute(stores: &Stores, author: Id<Author>, sql: &'static str) {
    let database = stores.shards.database(author.shard()).clone();
    let executed =
        database.write(move |transaction| async move { Ok(transaction.execute_unprepared(sql).await?) });
    executed.await.unwrap();
}

/// A job whose transaction is rolled back never runs; one whose transaction commits does.
pub async fn a_job_commits_with_its_transaction(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    let (kept, undone) = (noted("kept"), noted("undone"));
    let job = undone.clone();
    let failed = stores.shards.write(author, move |tx| async move {
        tx.enqueue(job).await?;
        Err::<(), _>(Error::invalid("on purpose"))
    });
    failed.await.unwrap_err();
    stores.enqueue(author, kept.clone()).await.unwrap();
    stores.idle().await;
    assert_eq!(done(&kept.word), [0]);
    assert!(done(&undone.word).is_empty());
}

/// Jobs that are enqueued and that end together run once each, on whatever shards they are; one of them that has
/// lost its lease is left to the worker that holds it.
pub async fn jobs_that_come_together_are_each_done_once(backing: Backing) {
    let stores = stores(backing).await;
    let mut authors = Vec::new();
    for n in 0..8 {
        authors.push(stores.author(&format!("author {n}")).await);
    }
    let jobs: Vec<Noted> =
        (0..TOGETHER).map(|n| Noted { loses_lease: n % 16 == 0, ..noted("together") }).collect();
    let enqueued =
        jobs.iter().zip(authors.iter().cycle()).map(|(job, author)| stores.enqueue(*author, job.clone()));
    let ids = futures::future::try_join_all(enqueued).await.unwrap();
    for (id, author) in ids.iter().zip(authors.iter().cycle()) {
        assert_eq!(id.shard(), author.shard());
    }
    assert_eq!(ids.into_iter().collect::<std::collections::HashSet<_>>().len(), TOGETHER);
    let _worker = stores.work();
    let lost = jobs.iter().filter(|job| job.loses_lease).count();
    eventually("all but these are done", async || {
        let waiting: i64 = stores.queue.waiting().await.unwrap().values().sum();
        (waiting as usize == lost).then_some(())
    })
    .await;
    stores.clock.advance(Duration::from_secs(16));
    stores.idle().await;
    for job in jobs {
        let runs = if job.loses_lease { 2 } else { 1 };
        assert_eq!(done(&job.word).len(), runs, "{job:?}");
    }
}

/// A row, two edges and a job of one transaction all exist if it commits, and none otherwise.
pub async fn a_row_an_edge_and_a_job_commit_together_or_not_at_all(backing: Backing) {
    let stores = stores(backing).await;
    let (a, b) = (stores.author("a").await, stores.author("b").await);
    let write = async |job: Noted, fail: bool| {
        let written = stores.shards.write(a, move |tx| async move {
            let row =
                note::ActiveModel { author_id: Set(a), text: Set("x".to_owned()), ..Default::default() };
            let note = tx.insert(row).await?;
            assert!(tx.connect::<Reads>(a, b).await?);
            assert!(!tx.connect::<Reads>(a, b).await?, "this transaction has created the edge");
            assert!(tx.connect::<Keeps>(a, note).await?);
            tx.enqueue(job).await?;
            if fail { Err(Error::conflict("on purpose")) } else { Ok(note) }
        });
        written.await
    };
    let is_there = async || {
        let (primary, cached) = (stores.primary(), stores.cached());
        let rows = primary.list::<Note>(a, Keyset::newest(9)).await.unwrap().items.len();
        let readers = primary.sources::<Reads>(b, Keyset::newest(9)).await.unwrap().into_items();
        let kept = primary.targets::<Keeps>(a, Keyset::newest(9)).await.unwrap().items.len();
        let counts = [
            cached.target_counts::<Reads>(&[a]).await.unwrap()[&a],
            cached.source_counts::<Reads>(&[b]).await.unwrap()[&b],
            cached.target_counts::<Keeps>(&[a]).await.unwrap()[&a],
        ];
        let jobs: Vec<(String, i64)> = stores.queue.waiting().await.unwrap().into_iter().collect();
        (rows, readers, kept, counts, jobs)
    };
    let undone = noted("undone");
    assert!(write(undone.clone(), true).await.unwrap_err().is_conflict());
    assert_eq!(is_there().await, (0, vec![], 0, [0; 3], vec![]));

    let done_job = noted("done");
    write(done_job.clone(), false).await.unwrap();
    let jobs = ["noted", "tripod.fan_out", "tripod.update_index"].map(|name| (name.to_owned(), 1));
    assert_eq!(is_there().await, (1, vec![a], 1, [1; 3], jobs.to_vec()));
    let _worker = stores.work();
    stores.idle().await;
    assert_eq!(done(&done_job.word), [0]);
    assert!(done(&undone.word).is_empty());
}

/// A job that no worker has begun can be cancelled, alone or in a transaction; a delayed job can be made
/// due now.
pub async fn a_job_is_cancelled_until_it_has_begun(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let later = Duration::from_secs(3_600);
    let enqueue = async |job: &Noted| {
        let job = job.clone();
        let queued = stores.shards.write(author, move |tx| async move { tx.enqueue_after(job, later).await });
        queued.await.unwrap()
    };
    let cancel = async |job, fail: bool| {
        let cancelled = stores.shards.write(author, move |tx| async move {
            let cancelled = tx.cancel(job).await?;
            if fail { Err(Error::invalid("on purpose")) } else { Ok(cancelled) }
        });
        cancelled.await
    };
    let (alone, kept, within) = (noted("alone"), noted("kept"), noted("within"));
    let [of_alone, of_kept, of_within] =
        [enqueue(&alone).await, enqueue(&kept).await, enqueue(&within).await];
    stores.queue.cancel(of_alone).await.unwrap();
    cancel(of_kept, true).await.unwrap_err();
    assert!(cancel(of_within, false).await.unwrap());
    assert!(!cancel(of_within, false).await.unwrap(), "the job was cancelled already");
    assert_eq!(stores.queue.waiting().await.unwrap()["noted"], 1);
    let elsewhere = stores.author("mike").await;
    assert_ne!(elsewhere.shard(), author.shard());
    let refused = stores.shards.write(elsewhere, move |tx| async move { tx.cancel(of_kept).await });
    assert!(refused.await.unwrap_err().is_internal());

    let _worker = stores.work();
    stores.queue.run_now(of_kept).await.unwrap();
    stores.idle().await;
    assert_eq!(done(&kept.word), [0], "it ran a second time within the hour");
    assert!(!cancel(of_kept, false).await.unwrap(), "the job is done already");
    stores.queue.run_now(of_kept).await.unwrap();
    assert!(done(&alone.word).is_empty() && done(&within.word).is_empty());
}

/// A failing job is retried, later each time, until it is dead; an operator can revive it.
pub async fn failures_back_off_and_end_as_dead_letters(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    let job = Noted { fail_until: 4, ..noted("fails") };
    let id = stores.enqueue(author, job.clone()).await.unwrap();
    eventually("the first attempt", async || (done(&job.word).len() == 1).then_some(())).await;
    for attempts in 2..=3 {
        // The job is due only at its time, so the clock must move.
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
    eventually("it runs again", async || (done(&job.word).len() > 3).then_some(())).await;
}

/// A panic is a failure of the job, not of the worker.
pub async fn a_panic_is_a_failed_attempt(backing: Backing) {
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    stores.enqueue(author, Noted { panic: true, ..noted("panics") }).await.unwrap();
    let dead = eventually("the panicking job is dead", async || {
        // In steps so small that no lease ends while an attempt is recorded.
        stores.clock.advance(Duration::from_millis(500));
        stores.queue.dead().await.unwrap().pop()
    })
    .await;
    assert!(dead.last_error.unwrap().contains("panicked"));
    let after = noted("after");
    stores.enqueue(author, after.clone()).await.unwrap();
    eventually("the worker goes on", async || (done(&after.word) == [0]).then_some(())).await;
}

/// Of many due jobs, none is leased without being begun: the clock stands still, so no lease ends.
pub async fn many_due_jobs_are_each_begun_when_they_are_leased(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    stores.enqueue(author, noted("first")).await.unwrap();
    execute(&stores, author, "DELETE FROM tripod_job").await;
    // For a table that was empty when analysed, PostgreSQL expects a single row and plans loops.
    execute(&stores, author, "ANALYZE tripod_job").await;
    for _ in 0..100 {
        stores.enqueue(author, noted("due")).await.unwrap();
    }
    let _worker = stores.work();
    stores.idle().await;
}

/// A job whose worker vanishes is taken over when its lease ends, and continues from its checkpoint.
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
    // Before the lease ends no worker may take it; after that one must.
    stores.clock.advance(Duration::from_secs(16));
    second.idle().await;
    assert_eq!(done(&job.word), [5, HANGS, 2], "the second attempt did not continue where the first stopped");
}

/// A job that ends its process each time is set aside as dead without another run.
pub async fn a_job_that_kills_its_process_ends_too(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let job = noted("poison");
    stores.enqueue(author, job.clone()).await.unwrap();
    // Three processes claimed it and died: the attempts are counted, and nothing else happened.
    execute(&stores, author, "UPDATE tripod_job SET attempt = 3").await;
    let _worker = stores.work();
    let dead = eventually("the job that kills its process is dead", async || {
        stores.queue.dead().await.unwrap().pop()
    })
    .await;
    assert!(dead.last_error.unwrap().contains("ended its process"));
    assert!(done(&job.word).is_empty(), "the job ran again");
}

/// A job with an unregistered name is an error when enqueued, and at start.
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
