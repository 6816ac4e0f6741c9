//! Repeated `kill -9` during writes: acknowledged writes exist exactly once, for everyone.
//!
//! Only a definite success counts as acknowledged; any other outcome is repeated under the same key.
//! `SEED=n` repeats the same requests and moments, as far as a machine allows.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tripod_tests::{Person, PhotoPost, Reply, Server, Setup, Stored, eventually, photo};

use crate::product_path::ids;

/// Posts that are acknowledged in the end, each followed by a like, a comment and a follow. With `FULL`
/// in the environment, ten times as many.
fn post_count() -> usize {
    if std::env::var_os("FULL").is_some() { 1_000 } else { 100 }
}
const WRITERS: usize = 4;
/// Time until a request is acknowledged, restarts included.
const ACKNOWLEDGED: Duration = Duration::from_secs(120);
/// Time until others take over the jobs of a dead process.
const LEASE_SECONDS: u64 = 3;
/// Time until the jobs of a killed process are done.
const TAKEN_OVER: Duration = Duration::from_secs(30);
/// Time until the files of an interrupted upload are deleted.
const ABANDONED: Duration = Duration::from_secs(5);

/// What the clients recorded.
#[derive(Default)]
struct Ledger {
    acknowledged: Cell<usize>,
    repeats: Cell<usize>,
    posts: RefCell<BTreeMap<String, Value>>,
    comments: RefCell<Vec<(String, String)>>,
    likes: RefCell<Vec<(String, String)>>,
}

impl Ledger {
    /// Sends a request until it succeeds.
    async fn insist(&self, request: impl Fn() -> RequestBuilder) -> Value {
        let json = eventually("a request is acknowledged", ACKNOWLEDGED, async || {
            match Reply::try_to(request()).await {
                Ok(reply) if (200..300).contains(&reply.status) => Some(reply.json),
                Ok(reply) if reply.status < 500 => panic!("{}: {} {}", reply.of, reply.status, reply.json),
                _ => {
                    self.repeats.set(self.repeats.get() + 1);
                    None
                }
            }
        });
        let json = json.await;
        self.acknowledged.set(self.acknowledged.get() + 1);
        json
    }

    /// One writer's share: post, and have another person like and comment.
    async fn write(&self, author: &Person, people: &[Person], numbers: impl Iterator<Item = usize>) {
        for n in numbers {
            let form = PhotoPost::of([photo::jpeg(64, 48, n as u32)]).caption(&format!("post {n}"));
            let key = format!("post-{n}");
            let post = self.insist(|| author.publishing(&form).header("idempotency-key", &key)).await;
            let id = post["id"].as_str().unwrap().to_owned();
            self.posts.borrow_mut().insert(id.clone(), post);

            let person = &people[n % people.len()];
            self.insist(|| person.request(Method::PUT, &format!("/posts/{id}/like"))).await;
            self.likes.borrow_mut().push((id.clone(), person.id.clone()));
            let (path, text) = (format!("/posts/{id}/comments"), json!({"text": key}));
            let comment = || person.request(Method::POST, &path).header("idempotency-key", &key).json(&text);
            let comment = self.insist(comment).await;
            self.comments.borrow_mut().push((id, comment["id"].as_str().unwrap().to_owned()));
            let follow = format!("/users/{}/follow", people[(n + 1) % people.len()].id);
            self.insist(|| person.request(Method::PUT, &follow)).await;
        }
    }

    /// Kills the server at random moments, each after more requests have been acknowledged.
    async fn kill(&self, server: &mut Server, random: &mut StdRng, kills: &Cell<usize>) -> ! {
        loop {
            let target = self.acknowledged.get() + random.random_range(1..40);
            eventually("the writers make progress", ACKNOWLEDGED, async || {
                (self.acknowledged.get() >= target).then_some(())
            })
            .await;
            tokio::time::sleep(Duration::from_micros(random.random_range(0..30_000))).await;
            server.kill_9();
            kills.set(kills.get() + 1);
            server.restart().await;
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_or_doubled_by_kill_9() {
    let seed =
        std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u32>);
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed.into());
    let mut server =
        Setup::default().set("TRIPOD_UPLOADS__ABANDONED_SECONDS", ABANDONED.as_secs()).start().await;
    let author = server.person("author").await;
    let mut followers = Vec::new();
    for _ in 0..3 {
        followers.push(server.person("follower").await);
        followers.last().unwrap().follow(&author).await;
    }
    let (ledger, kills) = (Ledger::default(), Cell::new(0));
    let writers = futures::future::join_all(
        (0..WRITERS).map(|writer| ledger.write(&author, &followers, (writer..post_count()).step_by(WRITERS))),
    );
    tokio::select! {
        _ = writers => {}
        never = ledger.kill(&mut server, &mut random, &kills) => never,
    }

    let restarted = Instant::now();
    server.restart().await;
    crate::idle_within(&server, TAKEN_OVER).await;
    let (kills, repeats) = (kills.get(), ledger.repeats.get());
    println!("{kills} kills, {repeats} repeats, jobs done {:?} after the last restart", restarted.elapsed());
    assert!(kills >= 5, "only {kills} kills");
    check_posts(&author, &followers, &ledger).await;
    check_follows(&followers).await;
    let stored = server.stored().await;
    check_edges(&stored);
    let posts = author.walk(&format!("/users/{}/posts", author.id), 100).await;
    let wanted = posts.iter().flat_map(crate::media_keys).collect::<BTreeSet<_>>();
    let names = stored.files.iter().filter_map(|file| file.file_name()?.to_str());
    let kept: BTreeSet<String> = names.filter(|name| name.ends_with(".jpg")).map(str::to_owned).collect();
    println!(
        "{} media files of {} posts, {} of no post",
        kept.len(),
        posts.len(),
        kept.difference(&wanted).count()
    );
    assert_eq!(kept, wanted);
}

/// Checks every list against the clients' records, and every count against its list.
async fn check_posts(author: &Person, followers: &[Person], ledger: &Ledger) {
    let posts = ledger.posts.take();
    assert_eq!(posts.len(), post_count());
    let newest_first: Vec<&str> = posts.keys().rev().map(String::as_str).collect();
    let own = author.walk(&format!("/users/{}/posts", author.id), 100).await;
    assert_eq!(ids(&own), newest_first, "the author's list");
    assert_eq!(author.get("/me").await.expect(200)["counts"]["posts"], post_count());
    for reader in followers.iter().chain([author]) {
        assert_eq!(ids(&reader.feed().await), newest_first, "the feed of {}", reader.username);
    }
    for post in own {
        let id = post["id"].as_str().unwrap();
        let of_post = |pairs: &RefCell<Vec<(String, String)>>| -> Vec<String> {
            pairs.borrow().iter().filter(|(post, _)| post == id).map(|(_, other)| other.clone()).collect()
        };
        for (list, count, expected) in
            [("comments", "comments", of_post(&ledger.comments)), ("likes", "likes", of_post(&ledger.likes))]
        {
            let found = author.walk(&format!("/posts/{id}/{list}"), 100).await;
            assert_eq!(ids(&found), expected, "{list} of {id}");
            assert_eq!(post["counts"][count], expected.len(), "{list} of {id}");
        }
        let photo = author.get(&format!("~{}", post["photos"][0]["url"].as_str().unwrap())).await;
        assert_eq!(photo.status, 200, "the photo of {id}");
    }
}

/// Each follows the next one and the author, as acknowledged.
async fn check_follows(followers: &[Person]) {
    for person in followers {
        let counts = person.get("/me").await.expect(200)["counts"].clone();
        assert_eq!(
            (&counts["followers"], &counts["following"]),
            (&json!(1), &json!(2)),
            "{}",
            person.username
        );
        let lists = ["followers", "following"].map(|list| format!("/users/{}/{list}", person.id));
        assert_eq!(person.walk(&lists[0], 100).await.len(), 1);
        assert_eq!(person.walk(&lists[1], 100).await.len(), 2);
    }
}

/// Checks that both ends of every edge exist, and that the stored counts match the live edges.
pub(super) fn check_edges(stored: &Stored) {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let parts =
        |row: &str| row.split('|').map(|part| part.split_once('=').unwrap().1.to_owned()).collect::<Vec<_>>();
    let edges: Vec<Vec<String>> = stored.edges().iter().map(|row| parts(row)).collect();
    for edge in &edges {
        let [near, kind, direction, far] = &edge[..4] else { panic!("{edge:?}") };
        let turned = if direction == "0" { "1" } else { "0" };
        let other = [far, kind, &turned.to_owned(), near].map(String::clone);
        assert!(edges.iter().any(|edge| edge[..4] == other), "{edge:?} is stored at one end only");
        *counts.entry(format!("{near} {kind} {direction}")).or_default() += 1;
    }
    for row in &stored.tables["tripod_edge_count"] {
        let [near, kind, direction, count] = &parts(row)[..] else { panic!("{row}") };
        let live = counts.remove(&format!("{near} {kind} {direction}")).unwrap_or_default();
        assert_eq!(count.parse(), Ok(live), "{row}");
    }
    assert!(counts.is_empty(), "no stored count for {counts:?}");
}

#[tokio::test]
async fn a_job_leased_by_a_killed_process_is_taken_over() {
    let mut server = Setup::default().set("TRIPOD_QUEUE__LEASE_SECONDS", LEASE_SECONDS).start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    kevin.follow(&mike).await;
    mike.follow(&kevin).await;
    for n in 0..30 {
        let post = kevin.post_photo(&n.to_string()).await;
        mike.comment(&post, "x").await;
    }
    crate::idle(&server).await;
    kevin.delete("/me").await.expect(204);
    let leased = async |server: &Server| {
        // A fast query of one table, so that the kill comes in time.
        let jobs = "SELECT name FROM tripod_job WHERE name = 'erase_account' AND attempt = 1";
        Stored::query(server.data(), jobs).await.len() == 1
    };
    eventually("the job is leased", crate::SOON, async || leased(&server).await.then_some(())).await;
    server.kill_9();
    assert!(leased(&server).await, "the job was done before the kill: it is too short for this test");
    let restarted = Instant::now();
    server.restart().await;
    crate::idle_within(&server, TAKEN_OVER).await;
    println!("done {:?} after the restart", restarted.elapsed());
    let stored = server.stored().await;
    let left = (stored.count("post"), stored.count("comment"), stored.edges().len(), stored.files.len());
    assert_eq!(left, (0, 0, 0, 0));
    assert_eq!(
        mike.get("/me").await.expect(200)["counts"],
        json!({"posts": 0, "followers": 0, "following": 0})
    );
}
