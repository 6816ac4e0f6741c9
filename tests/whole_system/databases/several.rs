//! Several processes on the same stores: they all return the same results, and any of them may end at
//! any time.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tripod_tests::servers::{Installation, Shared};
use tripod_tests::{Person, PhotoPost, Server, Setup, Stored, eventually, photo};

const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Service {
    installation: Arc<Installation>,
}

impl Service {
    /// A migrated service without a process.
    pub(super) async fn new() -> Self {
        let service = Self { installation: Arc::new(Shared::get().await.installation().await) };
        let directory = tempfile::tempdir().unwrap();
        let exit = service.setup().run(directory.path(), &["migrate"]).await;
        assert!(exit.status.success(), "{exit:?}");
        service
    }

    pub(super) fn setup(&self) -> Setup {
        let variables = self.installation.variables();
        variables.into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value))
    }

    pub(super) async fn serve(&self) -> Server {
        self.setup().start().await
    }

    /// Its databases, as tests read them.
    pub(super) fn databases(&self) -> Vec<String> {
        self.installation.direct()
    }

    async fn queued(&self) -> usize {
        let mut queued = 0;
        for url in self.databases() {
            queued += Stored::query_one(&url, "SELECT name FROM tripod_job").await.len();
        }
        queued
    }
}

/// A process that only runs jobs. One that is dropped is killed.
pub(super) struct Worker {
    child: Child,
    directory: tempfile::TempDir,
}

impl Worker {
    pub(super) fn start(setup: Setup) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = setup.argument("work").command(directory.path(), "127.0.0.1:0");
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the program starts");
        Self { child, directory }
    }

    /// Sends it a signal, such as STOP.
    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success(), "the worker has ended");
    }

    /// Waits until it ends by itself.
    pub(super) async fn ended(&mut self) {
        let ended = eventually("the worker ends", PATIENCE, async || self.child.try_wait().unwrap());
        let (status, log) = (ended.await, std::fs::read_to_string(self.directory.path().join("log")));
        // One that was stopped before it was ready ends by the signal.
        assert!(status.success() || status.signal() == Some(15), "{status}: {}", log.unwrap());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same person, on another process.
fn at(server: &Server, person: &Person) -> Person {
    person.at(&server.api())
}

async fn captions(person: &Person) -> Vec<String> {
    person.feed().await.iter().map(|post| post["caption"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn what_is_done_at_one_is_seen_at_the_other() {
    let service = Service::new().await;
    let (first, second) = (service.serve().await, service.serve().await);
    let (kevin, mike) = (first.person("kevin").await, second.person("mike").await);
    let (kevin_there, mike_here) = (at(&second, &kevin), at(&first, &mike));
    assert_eq!(captions(&kevin).await, Vec::<String>::new());
    kevin.follow(&mike).await;
    let post = mike.post_photo("from the second").await;
    eventually("the post is in both feeds", PATIENCE, async || {
        let feeds = (captions(&kevin).await, captions(&kevin_there).await);
        (feeds.0 == ["from the second"] && feeds.0 == feeds.1).then_some(())
    })
    .await;
    kevin_there.like(&post).await;
    assert_eq!(
        mike_here.get(&format!("/posts/{}", post["id"].as_str().unwrap())).await.expect(200)["counts"]["likes"],
        1
    );
    // An unfollow on one process removes the post from the feed on the other.
    kevin_there.unfollow(&mike).await;
    assert_eq!(captions(&kevin).await, Vec::<String>::new());
    // A session that is closed on one process is closed on the other.
    let device = kevin.log_in(&second.api()).await;
    at(&first, &device).get("/me").await.expect(200);
    device.delete("/sessions/current").await.expect(204);
    assert_eq!(at(&first, &device).get("/me").await.status, 401);
    assert_eq!(device.get("/me").await.status, 401);
}

#[tokio::test]
async fn two_mint_ids_and_run_jobs_side_by_side_and_one_is_killed() {
    let service = Service::new().await;
    let mut processes = [service.serve().await, service.serve().await];
    let author = processes[0].person("author").await;
    let reader = processes[1].person("reader").await;
    reader.follow(&author).await;
    let authors = [author.clone(), at(&processes[1], &author)];
    let posts: Vec<PhotoPost> =
        (0..40).map(|n| PhotoPost::of([photo::small()]).caption(&format!("{n}"))).collect();
    let made = posts.iter().enumerate().map(|(n, post)| {
        let author = &authors[n % 2];
        async move { author.publish(post).await.expect(201) }
    });
    let made: Vec<Value> = futures::future::join_all(made).await;
    processes[1].kill_9();
    let ids: std::collections::BTreeSet<&str> = made.iter().filter_map(|post| post["id"].as_str()).collect();
    assert_eq!(ids.len(), 40, "an id was given twice");
    let reader = at(&processes[0], &reader);
    eventually("every post is in the feed once", PATIENCE, async || {
        let feed = reader.feed().await;
        let seen: std::collections::BTreeSet<&str> =
            feed.iter().filter_map(|post| post["id"].as_str()).collect();
        (seen == ids && feed.len() == 40).then_some(())
    })
    .await;
    eventually("the other process finishes the killed one's jobs", PATIENCE, async || {
        (service.queued().await == 0).then_some(())
    })
    .await;
    drop(processes);
}

#[tokio::test]
async fn the_queue_can_be_left_to_processes_that_only_work() {
    let service = Service::new().await;
    let server = service.setup().argument("--no-work").start().await;
    let (author, reader) = (server.person("author").await, server.person("reader").await);
    reader.follow(&author).await;
    assert_eq!(captions(&reader).await, Vec::<String>::new());
    author.post_photo("waits for a worker").await;
    assert!(service.queued().await > 0, "no worker runs yet");
    let _workers = [(); 2].map(|()| Worker::start(service.setup()));
    eventually("the post is in the feed", PATIENCE, async || {
        (captions(&reader).await == ["waits for a worker"]).then_some(())
    })
    .await;
    eventually("the queue is empty", PATIENCE, async || (service.queued().await == 0).then_some(())).await;
}

/// Simulates the rollout of a new version: its migration and its jobs exist, and the old version
/// continues beside it.
#[tokio::test]
async fn an_old_version_goes_on_beside_a_new_one() {
    let service = Service::new().await;
    let old = service.serve().await;
    let author = old.person("author").await;
    let databases = service.installation.direct();
    for url in &databases {
        let migrated = "INSERT INTO tripod_migration VALUES ('m21000101_000001_later', 0) RETURNING version";
        Stored::query_one(url, migrated).await;
        Stored::query_one(url, "ALTER TABLE post ADD COLUMN mood text NULL").await;
    }
    let new_job = format!(
        "INSERT INTO tripod_job (id, name, payload, run_at_ms, attempt, dead) VALUES ({}, 'knit_socks', '{{}}', 0, 0, FALSE) \
         RETURNING name",
        author.id.parse::<i64>().unwrap() + 1
    );
    let holder = usize::from((author.id.parse::<u64>().unwrap() >> 10 & 8_191) >= 4_096);
    Stored::query_one(&databases[holder], &new_job).await;
    author.post_photo("by the old version").await;
    eventually("the old version's jobs are done and the new one's are left", PATIENCE, async || {
        (service.queued().await == 1).then_some(())
    })
    .await;
    // A restart of the old version fails: it can't know what the new tables mean.
    let directory = tempfile::tempdir().unwrap();
    let exit = service.setup().run(directory.path(), &[]).await;
    assert!(!exit.status.success() && exit.stderr.contains("newer version"), "{exit:?}");
}
