//! The store fails during uploads: each upload gets an honest reply, no post lacks a rendition, and
//! everything works once the store is back.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tripod_tests::servers::{Fault, ObjectStore};
use tripod_tests::{Person, PhotoPost, Reply, Server, eventually, photo};

use super::{keys, rendition, renditions, setup};
use crate::SOON;
use crate::product_path::ids;

/// The longest wait for a reply: the timeout of the settings, and a little more.
const REPLY: Duration = Duration::from_secs(45);

/// Time until the files of refused posts are deleted once the store is back: the pause before the next
/// attempt.
const SWEPT: Duration = Duration::from_secs(120);

struct Stage {
    objects: ObjectStore,
    server: Server,
    author: Person,
    acknowledged: Vec<Value>,
    refused: usize,
}

impl Stage {
    async fn start() -> Self {
        let objects = ObjectStore::start().await;
        let server = setup(&objects, &objects.url()).start().await;
        let author = server.person("author").await;
        let acknowledged = vec![author.post_photo("before").await];
        Self { objects, server, author, acknowledged, refused: 0 }
    }

    /// Publishes posts concurrently, and records which were acknowledged; the other replies must be
    /// honest.
    async fn post(&mut self, count: usize) -> usize {
        let posts = (0..count).map(|n| {
            let photos = [photo::jpeg(1_100, 800, n as u32), photo::small()];
            let request = self.author.publishing(&PhotoPost::of(photos).caption(&n.to_string()));
            tokio::time::timeout(REPLY, Reply::to(request))
        });
        let mut made = 0;
        for reply in futures::future::join_all(posts).await {
            let reply = reply.expect("each is answered in time");
            if reply.status == 201 {
                self.acknowledged.push(reply.json);
                made += 1;
            } else {
                reply.problem(503);
                self.refused += 1;
            }
        }
        made
    }

    /// Checks that the acknowledged posts are complete, and that nothing else exists.
    async fn check(&mut self, what: &str) {
        self.objects.heal();
        assert_eq!(self.post(1).await, 1, "{what}: an upload works again");
        let posts = self.author.walk(&format!("/users/{}/posts", self.author.id), 100).await;
        let mut expected = ids(&self.acknowledged);
        expected.sort_by(|a, b| b.cmp(a));
        let mut found = ids(&posts);
        found.sort_by(|a, b| b.cmp(a));
        assert_eq!(found, expected, "{what}");
        for url in posts.iter().flat_map(renditions) {
            assert_eq!(rendition(&self.author, &url).await.status, 200, "{what}: {url}");
        }
        let wanted = keys(&posts);
        let before = self.objects.keys().difference(&wanted).count();
        eventually("no object of a refused post is left", SWEPT, async || {
            (self.objects.keys() == wanted).then_some(())
        })
        .await;
        println!(
            "{what}: {} posts, {} refused, 0 broken; {} objects, {before} of no post, 0 after their deletion",
            posts.len(),
            self.refused,
            wanted.len()
        );
    }
}

#[tokio::test]
async fn errors_of_the_store_are_answered_honestly() {
    let mut stage = Stage::start().await;
    let url = renditions(&stage.acknowledged[0])[0].clone();
    stage.objects.fail(Fault::Status(500));
    assert_eq!(stage.post(3).await, 0);
    // A photo that can't be read is not reported as missing.
    rendition(&stage.author, &url).await.problem(503);
    // Other processes could do no more, so this one stays in the balancer.
    eventually("readiness names the store", SWEPT, async || {
        let readiness = stage.author.get("~/readyz").await.expect(200);
        readiness["down"][0].as_str().is_some_and(|down| down.starts_with("media: ")).then_some(())
    })
    .await;
    stage.author.get("~/healthz").await.expect(200);
    stage.author.get("/feed").await.expect(200);
    stage.check("all requests answered 500").await;
    stage.author.get("~/readyz").await.expect(200);

    stage.objects.fail_when(Fault::Status(503), |asked| asked.attempt == 1);
    assert_eq!(stage.post(3).await, 3, "the retry did not succeed");
    stage.check("all first attempts answered 503").await;

    // The first rendition is stored; the others fail, as does the deletion of the first.
    stage.objects.fail_when(Fault::Status(500), |asked| asked.number > 1);
    assert_eq!(stage.post(1).await, 0);
    stage.check("500 in the middle of a photo").await;
}

#[tokio::test]
async fn lost_replies_lose_no_post() {
    let mut stage = Stage::start().await;
    stage.objects.fail_when(Fault::LostReply, |asked| asked.attempt == 1);
    assert_eq!(stage.post(4).await, 4, "the retry did not succeed");
    stage.check("all replies to first attempts lost").await;
    stage.objects.fail(Fault::LostReply);
    assert_eq!(stage.post(2).await, 0);
    stage.check("all replies lost").await;
    stage.objects.fail_when(Fault::LostReply, |asked| asked.method == Method::PUT);
    stage.post(2).await;
    stage.check("all replies to writes lost").await;
}

#[tokio::test]
async fn a_store_that_hangs_is_answered_for_in_time() {
    let mut stage = Stage::start().await;
    stage.objects.fail(Fault::Hang);
    assert_eq!(stage.post(2).await, 0);
    stage.check("all requests hang").await;
    stage.objects.fail_when(Fault::Hang, |asked| asked.number == 2);
    assert_eq!(stage.post(1).await, 1, "no second attempt was made in time");
    stage.check("one request hangs").await;
}

#[tokio::test]
async fn a_store_that_is_away_comes_back() {
    let mut stage = Stage::start().await;
    let deleted = stage.acknowledged.remove(0);
    stage.objects.stop().await;
    assert_eq!(stage.post(2).await, 0);
    let path = format!("/posts/{}", deleted["id"].as_str().unwrap());
    stage.author.delete(&path).await.expect(204);
    stage.objects.resume().await;
    stage.check("connections refused").await;
    let gone = keys(&[deleted]);
    eventually("the deleted post's objects go", SOON, async || {
        stage.objects.keys().is_disjoint(&gone).then_some(())
    })
    .await;
    crate::idle(&stage.server).await;
}
