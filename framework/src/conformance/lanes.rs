//! Lanes, unique jobs and schedules: what runs concurrently, and how often.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde::{Deserialize, Serialize};

use crate::conformance::Stores;
use crate::db::statement;
use crate::error::BoxError;
use crate::queue::{Job, JobRun, Lane, Registry, Run, Unique};
use crate::testing::{Backing, eventually};

/// How often the jobs of a test have begun, by the test's word.
static BEGUN: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

fn begun(word: &str) -> u32 {
    BEGUN.lock().expect("no job panics while holding this").get(word).copied().unwrap_or_default()
}

fn begin(word: &str) {
    *BEGUN.lock().expect("no job panics while holding this").entry(word.to_owned()).or_default() += 1;
}

/// A word unique to a test.
fn word(name: &str) -> String {
    format!("{name}-{:032x}", rand::random::<u128>())
}

/// A job in the default lane.
#[derive(Serialize, Deserialize)]
struct Quick {
    word: String,
}

impl Job for Quick {
    const NAME: &'static str = "quick";
    const RETRIES: u32 = 2;
}

impl Run<Stores> for Quick {
    async fn run(&mut self, _: &Stores, _: &JobRun) -> Result<(), BoxError> {
        begin(&self.word);
        Ok(())
    }
}

/// A job in its own lane, which never ends.
#[derive(Serialize, Deserialize)]
struct Endless {
    word: String,
}

impl Job for Endless {
    const NAME: &'static str = "endless";
    const RETRIES: u32 = 2;
    const LANE: &'static str = "slow";
}

impl Run<Stores> for Endless {
    async fn run(&mut self, _: &Stores, _: &JobRun) -> Result<(), BoxError> {
        begin(&self.word);
        std::future::pending().await
    }
}

/// A job that is unique by its word; it ends when the test releases it.
#[derive(Clone, Serialize, Deserialize)]
struct Single {
    word: String,
    while_waiting: bool,
}

/// The words whose jobs may end.
static RELEASED: LazyLock<Mutex<Vec<String>>> = LazyLock::new(Mutex::default);

impl Job for Single {
    const NAME: &'static str = "single";
    const RETRIES: u32 = 2;

    fn unique(&self) -> Option<Unique> {
        let key = self.word.clone();
        Some(if self.while_waiting { Unique::WhileWaiting(key) } else { Unique::UntilDone(key) })
    }
}

impl Run<Stores> for Single {
    async fn run(&mut self, _: &Stores, _: &JobRun) -> Result<(), BoxError> {
        begin(&self.word);
        while !RELEASED.lock().expect("no job panics while holding this").contains(&self.word) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

fn register(jobs: &mut Registry<Stores>) {
    jobs.register::<Quick>();
    jobs.register::<Endless>();
    jobs.register::<Single>();
    jobs.add_lane(Lane::new("slow").workers(2));
}

/// Jobs that never end occupy the workers of their own lane only.
pub async fn a_slow_lane_holds_up_no_other(backing: Backing) {
    let stores = Stores::with_jobs(backing, register).await;
    let author = stores.author("kevin").await;
    let (slow, quick) = (word("slow"), word("quick"));
    for _ in 0..10 {
        stores.enqueue(author, Endless { word: slow.clone() }).await.unwrap();
    }
    let _working = stores.work();
    eventually("the slow lane is full", async || (begun(&slow) == 2).then_some(())).await;
    for n in 1..=5 {
        stores.enqueue(author, Quick { word: quick.clone() }).await.unwrap();
        eventually("a quick job runs", async || (begun(&quick) == n).then_some(())).await;
    }
    assert_eq!(begun(&slow), 2, "a lane ran more jobs at once than it has workers");
}

/// Jobs begin as soon as they are enqueued, on any database: one database's loop does not take the slots
/// from another's. A loop that found none would look again only after a second.
pub async fn jobs_of_every_database_begin_at_once(backing: Backing) {
    let stores = Stores::with_jobs(backing, register).await;
    let (first, second) = super::on_two_databases(&stores).await;
    let word = word("begins");
    let _working = stores.work();
    let all = async {
        for n in 1..=60 {
            let author = if n % 2 == 0 { first } else { second };
            stores.enqueue(author, Quick { word: word.clone() }).await.unwrap();
            eventually("a job begins", async || (begun(&word) == n).then_some(())).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("60 jobs begin within half a minute");
}

/// A unique job is enqueued once, by any number of concurrent calls; when it is done, it can be enqueued
/// again.
pub async fn a_unique_job_is_there_once(backing: Backing) {
    let stores = Stores::with_jobs(backing, register).await;
    let author = stores.author("kevin").await;
    let job = Single { word: word("until-done"), while_waiting: false };
    let enqueues = (0..20).map(|_| stores.enqueue(author, job.clone()));
    let ids = futures::future::try_join_all(enqueues).await.unwrap();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let other = Single { word: word("other"), while_waiting: false };
    assert_ne!(
        stores.enqueue(author, other.clone()).await.unwrap(),
        ids[0],
        "a job with another key is the same job"
    );

    let _working = stores.work();
    eventually("the job runs", async || (begun(&job.word) == 1).then_some(())).await;
    assert_eq!(
        stores.enqueue(author, job.clone()).await.unwrap(),
        ids[0],
        "a job that still runs was enqueued again"
    );
    RELEASED.lock().unwrap().extend([job.word.clone(), other.word]);
    stores.idle().await;
    assert_ne!(stores.enqueue(author, job.clone()).await.unwrap(), ids[0]);
    stores.idle().await;
    assert_eq!(begun(&job.word), 2);
}

/// A job that is unique while it waits may be enqueued again once it has begun: changes since then need
/// another run.
pub async fn a_job_unique_while_it_waits_may_wait_again_once_begun(backing: Backing) {
    let stores = Stores::with_jobs(backing, register).await;
    let author = stores.author("kevin").await;
    let job = Single { word: word("while-waiting"), while_waiting: true };
    let first = stores.enqueue(author, job.clone()).await.unwrap();
    assert_eq!(stores.enqueue(author, job.clone()).await.unwrap(), first);
    let _working = stores.work();
    eventually("the job runs", async || (begun(&job.word) == 1).then_some(())).await;
    assert_ne!(stores.enqueue(author, job.clone()).await.unwrap(), first);
    RELEASED.lock().unwrap().push(job.word.clone());
    stores.idle().await;
    assert_eq!(begun(&job.word), 2);
}

/// One of several processes enqueues a scheduled job when it is due; times that passed while none was
/// running become one run.
pub async fn a_schedule_is_one_run_a_time(backing: Backing) {
    let name = word("scheduled");
    let schedule = |jobs: &mut Registry<Stores>| {
        jobs.register::<Quick>();
        let word = name.clone();
        jobs.schedule("*/10 * * * *", move || Quick { word: word.clone() });
    };
    let stores = Stores::with_jobs(backing, schedule).await;
    let others = [stores.reopened_with(schedule).await, stores.reopened_with(schedule).await];
    let _working: Vec<_> = [&stores].into_iter().chain(&others).map(Stores::work).collect();
    let taken = async || {
        let mut taken = None;
        for database in stores.shards.databases() {
            let reader = database.reader();
            let sql = "SELECT taken_ms FROM tripod_schedule WHERE name = 'quick'";
            let row = reader.query_one_raw(statement(reader, sql, [])).await.unwrap();
            taken = taken.or(row.map(|row| row.try_get_by_index::<i64>(0).unwrap()));
        }
        taken
    };
    let mut last = eventually("the schedule is known", taken).await;
    for (run, minutes) in [(1, 10), (2, 10), (3, 60)] {
        stores.clock.advance(Duration::from_secs(minutes * 60));
        let moved = async || taken().await.filter(|taken| *taken > last);
        last = eventually("the schedule's time is taken", moved).await;
        stores.idle().await;
        assert_eq!(begun(&name), run, "after {minutes} minutes");
    }
}
