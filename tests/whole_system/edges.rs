//! Edges over the API: counts are exact whatever is changed at once, and the role `audit counts` proves it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::Value;
use tripod_tests::{Person, Server, Setup, Stored, eventually};

/// People, and likes and unlikes by them, half on one post and half spread.
const PEOPLE: usize = 20;
const TOGGLES: usize = 1_000;
const POSTS: usize = 5;

fn likes(post: &Value) -> i64 {
    post["counts"]["likes"].as_i64().expect("a count")
}

/// A thousand concurrent likes and unlikes.
#[tokio::test]
async fn toggles_leave_no_count_wrong_and_none_negative() {
    let server = Server::start().await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(server.person("liker").await);
    }
    let mut posts = Vec::new();
    for author in &people[..POSTS] {
        posts.push(author.post_photo("like me").await);
    }
    let toggle = async |n: usize| {
        let person: &Person = &people[(n * 7) % PEOPLE];
        let post = if n.is_multiple_of(2) { &posts[0] } else { &posts[n % POSTS] };
        let path = format!("/posts/{}/like", post["id"].as_str().unwrap());
        // A thousand at once may be more than the machine takes: who is turned away comes again.
        eventually("a like or unlike is taken", Duration::from_secs(120), async || {
            let reply =
                if n.is_multiple_of(3) { person.delete(&path).await } else { person.put(&path).await };
            assert!([204, 503].contains(&reply.status), "{path}: {}", reply.status);
            (reply.status == 204).then_some(())
        })
        .await;
        if n.is_multiple_of(50) {
            let seen = person.get(&format!("/posts/{}", post["id"].as_str().unwrap())).await.expect(200);
            assert!((0..=PEOPLE as i64).contains(&likes(&seen)), "{seen}");
        }
    };
    join_all((0..TOGGLES).map(toggle)).await;

    for post in &posts {
        let path = format!("/posts/{}", post["id"].as_str().unwrap());
        let listed = people[0].walk(&format!("{path}/likes"), 100).await.len();
        let seen = people[0].get(&path).await.expect(200);
        assert_eq!(likes(&seen), listed as i64, "{seen}");
    }
    let negative = Stored::query(server.data(), "SELECT kind FROM tripod_edge_count WHERE count < 0").await;
    assert_eq!(negative, Vec::<String>::new());
    super::idle(&server).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let audit = Setup::default().data(server.data()).run(elsewhere.path(), &["audit", "counts"]).await;
    assert!(audit.status.success(), "{audit:?}");
    assert!(audit.stdout.contains("faults: 0"), "{audit:?}");
}

/// Somebody who has liked sees it at once, and so does everyone else.
#[tokio::test]
async fn a_like_is_counted_and_listed_before_its_reply() {
    let server = Server::start().await;
    let (author, other) = (server.person("author").await, server.person("other").await);
    let post = author.post_photo("like me").await;
    let path = format!("/posts/{}", post["id"].as_str().unwrap());
    for round in 0..10 {
        // Cached before.
        author.get(&path).await.expect(200);
        other.like(&post).await;
        for reader in [&author, &other] {
            assert_eq!(likes(&reader.get(&path).await.expect(200)), 1, "round {round}");
            assert_eq!(reader.walk(&format!("{path}/likes"), 20).await.len(), 1);
        }
        other.delete(&format!("{path}/like")).await.expect(204);
        assert_eq!(likes(&author.get(&path).await.expect(200)), 0, "round {round}");
    }
}

#[tokio::test]
async fn an_audit_reports_what_is_wrong_and_repairs_it_if_asked() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    let setup = || Setup::embedded().data(&data);
    let mut server = setup().start().await;
    let (author, liker) = (server.person("author").await, server.person("liker").await);
    let post = author.post_photo("like me").await;
    liker.like(&post).await;
    liker.follow(&author).await;
    super::idle(&server).await;
    let run = async |arguments: &[&str]| setup().run(place.path(), arguments).await;
    let refused = run(&["audit", "counts", "--repair"]).await;
    assert!(!refused.status.success(), "a service runs whose cache can't be reached: {refused:?}");

    server.terminate().await;
    let wrong = "UPDATE tripod_edge_count SET count = count + 3 WHERE kind = 'like' AND direction = 1";
    for database in [0, 1] {
        Stored::execute(&data, database, wrong).await;
    }
    let found = run(&["audit", "counts"]).await;
    assert!(!found.status.success(), "{found:?}");
    let line = "like: counts that differ from the edges: 1";
    let example = format!("4 edges to {} are counted", post["id"].as_str().unwrap());
    assert!(found.stdout.contains(line) && found.stdout.contains(&example), "{found:?}");
    assert!(found.stderr.contains("--repair"), "{found:?}");
    let repaired = run(&["audit", "counts", "--repair"]).await;
    assert!(repaired.status.success() && repaired.stdout.contains("repaired 1"), "{repaired:?}");
    let again = run(&["audit", "counts"]).await;
    assert!(again.status.success() && again.stdout.contains("faults: 0"), "{again:?}");
}
