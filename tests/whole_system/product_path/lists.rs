//! Lists in pages: every item exactly once, whatever the limit; invalid cursors and limits are refused.

use serde_json::Value;
use tripod_tests::{Person, Server};

use super::{id, ids};

/// Walks a list with several limits: the same items in the same order, none twice.
async fn assert_walks(person: &Person, path: &str, expected: usize) -> Vec<Value> {
    let whole = person.walk(path, 100).await;
    assert_eq!(whole.len(), expected, "{path}");
    let mut once = ids(&whole);
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), expected, "{path} has an item twice");
    for limit in [1, 3, expected] {
        assert_eq!(ids(&person.walk(path, limit).await), ids(&whole), "{path} by {limit}");
    }
    whole
}

#[tokio::test]
async fn every_list_gives_every_item_exactly_once() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let mut people = Vec::new();
    for _ in 0..10 {
        people.push(server.person("p").await);
    }
    let post = kevin.post_photo("the one").await;
    for (n, person) in people.iter().enumerate() {
        person.follow(&kevin).await;
        kevin.follow(person).await;
        person.put(&format!("/posts/{}/like", id(&post))).await.expect(204);
        person.comment(&post, &format!("comment {n}")).await;
        person.post_photo(&format!("post {n}")).await;
    }
    for n in 0..9 {
        kevin.post_photo(&format!("own {n}")).await;
    }
    crate::idle(&server).await;
    let feed = assert_walks(&kevin, "/feed", 20).await;
    // Explore may be ranked anew between two walks, and has everything in each.
    let mut all = ids(&feed);
    all.sort_unstable();
    for limit in [1, 3, 20] {
        let walked = kevin.walk("/explore", limit).await;
        let mut walked = ids(&walked);
        walked.sort_unstable();
        assert_eq!(walked, all, "he follows everybody");
    }
    // In an order that is neither the ids' order nor its reverse.
    let mut shuffled = feed.clone();
    shuffled.rotate_left(7);
    for post in &shuffled {
        kevin.put(&format!("/posts/{}/save", id(post))).await.expect(204);
    }
    shuffled.reverse();
    let saved = assert_walks(&kevin, "/me/saved", 20).await;
    assert_eq!(ids(&saved), ids(&shuffled), "the last one saved comes first");
    assert_walks(&kevin, &format!("/users/{}/posts", kevin.id), 10).await;
    let followers = assert_walks(&kevin, &format!("/users/{}/followers", kevin.id), 10).await;
    let newest_first: Vec<&str> = people.iter().rev().map(|person| person.id.as_str()).collect();
    assert_eq!(ids(&followers), newest_first);
    assert_eq!(ids(&assert_walks(&kevin, &format!("/users/{}/following", kevin.id), 10).await), newest_first);
    assert_eq!(ids(&assert_walks(&kevin, &format!("/posts/{}/likes", id(&post)), 10).await), newest_first);
    let comments = assert_walks(&kevin, &format!("/posts/{}/comments", id(&post)), 10).await;
    assert_eq!(
        (comments[0]["text"].as_str(), comments[9]["text"].as_str()),
        (Some("comment 9"), Some("comment 0"))
    );
}

#[tokio::test]
async fn a_walk_shows_what_was_there_when_it_began() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let mut posts = Vec::new();
    for n in 0..7 {
        posts.push(kevin.post_photo(&n.to_string()).await);
    }
    let list = format!("/users/{}/posts", kevin.id);
    let first = kevin.get(&format!("{list}?limit=3")).await.expect(200);
    kevin.post_photo("new").await;
    kevin.delete(&format!("/posts/{}", id(&posts[5]))).await.expect(204);
    let next = first["next"].as_str().unwrap();
    let second = kevin.get(&format!("{list}?limit=3&cursor={next}")).await.expect(200);
    assert_eq!(ids(second["items"].as_array().unwrap()), [id(&posts[3]), id(&posts[2]), id(&posts[1])]);
}

#[tokio::test]
async fn a_limit_or_cursor_that_is_none_is_refused_by_every_list() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let comment = format!("/comments/{}", id(&kevin.comment(&post, "x").await));
    let (user, post) = (format!("/users/{}", kevin.id), format!("/posts/{}", id(&post)));
    for list in [
        "/feed".to_owned(),
        "/explore".to_owned(),
        "/me/saved".to_owned(),
        format!("{user}/posts"),
        format!("{user}/followers"),
        format!("{user}/following"),
        format!("{post}/likes"),
        format!("{post}/comments"),
        format!("{comment}/replies"),
        "/me/blocks".to_owned(),
        "/me/mutes".to_owned(),
        "/me/close-friends".to_owned(),
        "/me/follow-requests".to_owned(),
    ] {
        for limit in ["0", "101", "-1", "x", "", "1.5", "99999999999999999999"] {
            let problem = kevin.get(&format!("{list}?limit={limit}")).await.problem(422);
            assert_eq!(problem["errors"][0]["field"], "limit", "{problem}");
        }
        for cursor in ["", "x", "%00", "AAAA", "__________8", "%F0%9F%8E%88"] {
            let problem = kevin.get(&format!("{list}?cursor={cursor}")).await.problem(422);
            assert_eq!(problem["errors"][0]["field"], "cursor", "{problem}");
        }
        for limit in [1, 100] {
            kevin.get(&format!("{list}?limit={limit}")).await.expect(200);
        }
    }
}
