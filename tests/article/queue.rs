//! Work that follows from a row, done by workers: it commits with the row, and survives them.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tripod::conformance;
use tripod::testing::Backing;

use super::{Row, State};
use crate::{Person, PhotoPost, Reply, Server, Setup, Stored, eventually, photo};

pub(super) const ROW: Row = Row {
    name: "queue",
    of_2011: "Gearman with ~200 Python workers: fan-out, sharing to Twitter",
    here: "`queue`: jobs committed with the row they belong to; `work` processes",
    state: State::InPart(|| Box::pin(prove()), "sharing to Twitter"),
};

const FOLLOWERS: usize = 5;
const POSTS: usize = 90;
const WRITERS: usize = 3;
const KILLS: usize = 5;
/// Until a request is acknowledged, restarts included.
const ACKNOWLEDGED: Duration = Duration::from_secs(120);
/// After which the files of an upload that a kill has cut off are deleted, by a job, too.
const ABANDONED_SECONDS: u32 = 5;
/// Until the jobs of a killed process are done: their lease of 15 seconds, and the work.
const TAKEN_OVER: Duration = Duration::from_secs(60);

async fn prove() -> String {
    conformance::queue::a_job_commits_with_its_transaction(Backing::embedded()).await;

    let mut server =
        Setup::default().set("TRIPOD_UPLOADS__ABANDONED_SECONDS", ABANDONED_SECONDS).start().await;
    let author = server.person("author").await;
    let mut followers = Vec::new();
    for _ in 0..FOLLOWERS {
        followers.push(server.person("follower").await);
        followers[followers.len() - 1].follow(&author).await;
    }
    let writing = Writing::default();
    let writers = (0..WRITERS).map(|first| writing.write(&author, (first..POSTS).step_by(WRITERS)));
    let kills = Cell::new(0);
    let killer = async {
        while kills.get() < KILLS {
            // Spread over the first third: a kill that comes too late for its job is repeated.
            let target = (kills.get() + 1) * POSTS / (KILLS * 3);
            eventually("the writers make progress", ACKNOWLEDGED, async || {
                (writing.ids.borrow().len() >= target).then_some(())
            })
            .await;
            in_work(server.data(), "tripod.fan_out").await;
            server.kill_9();
            // What the killed process had claimed is still there: that kill hit a fan-out in work.
            let hit = claimed(server.data(), "tripod.fan_out").await > 0;
            kills.set(kills.get() + usize::from(hit));
            server.restart().await;
        }
    };
    futures::join!(futures::future::join_all(writers), killer);
    done(&server).await;

    let mut ids = writing.ids.take();
    ids.sort_unstable_by_key(|id| std::cmp::Reverse(id.parse::<i64>().ok()));
    assert_eq!(ids.len(), POSTS);
    for reader in followers.iter().chain([&author]) {
        let feed = reader.feed().await;
        let feed: Vec<&str> = feed.iter().filter_map(|post| post["id"].as_str()).collect();
        assert_eq!(feed, ids, "the feed of {}", reader.username);
    }
    let count = author.get("/me").await.expect(200)["counts"]["posts"].clone();
    assert_eq!(count, POSTS, "the stored count of posts");

    erase(&mut server, &author, &followers).await;
    format!(
        "A job whose transaction was undone never ran. {KILLS} times kill -9 hit a fan-out in work: all \
         {POSTS} acknowledged posts were in each of {} feeds once, counted once, and no job was left. A kill \
         in the middle of erasing the author's account left 0 of its posts, edges, files and jobs.",
        FOLLOWERS + 1
    )
}

/// What has been acknowledged.
#[derive(Default)]
struct Writing {
    ids: RefCell<Vec<String>>,
}

impl Writing {
    /// Posts, each until it is acknowledged, repeated under its key.
    async fn write(&self, author: &Person, numbers: impl Iterator<Item = usize>) {
        for n in numbers {
            let form = PhotoPost::of([photo::jpeg(64, 48, n as u32)]).caption(&format!("post {n}"));
            let key = format!("post-{n}");
            let post: Value =
                eventually("a post is acknowledged", ACKNOWLEDGED, async || {
                    match Reply::try_to(author.publishing(&form).header("idempotency-key", &key)).await {
                        Ok(reply) if reply.status == 201 => Some(reply.json),
                        Ok(reply) if reply.status < 500 => {
                            panic!("{}: {} {}", reply.of, reply.status, reply.json)
                        }
                        _ => None,
                    }
                })
                .await;
            self.ids.borrow_mut().push(post["id"].as_str().expect("a post has an id").to_owned());
        }
    }
}

/// Has the author leave, with a kill in the middle, and looks for what is left.
async fn erase(server: &mut Server, author: &Person, followers: &[Person]) {
    author.delete("/me").await.expect(204);
    in_work(server.data(), "erase_account").await;
    server.kill_9();
    assert_eq!(claimed(server.data(), "erase_account").await, 1, "the job was done before the kill");
    server.restart().await;
    done(server).await;
    let stored = server.stored().await;
    assert_eq!((stored.count("post"), stored.edges().len()), (0, 0));
    let left =
        stored.files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "jpg"));
    assert_eq!(left.count(), 0, "files are left of the author's posts or of killed uploads");
    for person in followers {
        let counts = person.get("/me").await.expect(200)["counts"].clone();
        assert_eq!(counts, json!({"posts": 0, "followers": 0, "following": 0}));
    }
}

/// Waits until a worker has claimed a job of this name.
async fn in_work(data: &Path, name: &str) {
    eventually("a job is in work", ACKNOWLEDGED, async || (claimed(data, name).await > 0).then_some(()))
        .await;
}

/// How many jobs of this name a worker has claimed and not done.
async fn claimed(data: &Path, name: &str) -> usize {
    let sql = format!("SELECT name FROM tripod_job WHERE name = '{name}' AND attempt > 0");
    Stored::query(data, &sql).await.len()
}

/// Waits until no job is left to do, those of killed processes included.
async fn done(server: &Server) {
    eventually("no job is left", TAKEN_OVER, async || {
        (server.stored().await.count("tripod_job") == 0).then_some(())
    })
    .await;
}
