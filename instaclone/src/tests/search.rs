//! Mentions, tags, links, search and explore.

use std::time::Duration;

use serde_json::{Value, json};
use tripod::id::Shard;
use tripod::testing::{TestApp, TestClient};

use super::people::someone;
use super::{sign_up, text};
use crate::explore::Rank;

async fn names(of: &TestClient, path: &str, list: &str, field: &str) -> Vec<String> {
    let found = of.get(path).await.expect(200).json();
    let found = if list.is_empty() { found } else { found[list].clone() };
    found.as_array().unwrap().iter().map(|item| text(&item[field])).collect()
}

async fn captions(of: &TestClient, path: &str) -> Vec<String> {
    names(of, path, "items", "caption").await
}

/// Posts, a moment after what was before.
async fn publish(app: &TestApp, author: &TestClient, caption: &str) -> Value {
    app.clock().advance(Duration::from_millis(10));
    super::publish(author, caption).await
}

/// Ranks posts and tags, as the schedule does each minute.
async fn rank(app: &TestApp) {
    app.run_jobs().await;
    app.app().enqueue(Shard::of_text("any"), Rank {}).await.unwrap();
    app.run_jobs().await;
}

#[tokio::test]
async fn a_caption_leads_to_people_tags_and_the_web() {
    let app = TestApp::start(crate::app()).await;
    let ((_, kevin), (mike_id, mike)) = (sign_up(&app, "kevin").await, sign_up(&app, "mike").await);
    let post = publish(&app, &kevin, "é @mike, @nobody #Tea https://example.org/<b>").await;
    assert_eq!(
        post["entities"],
        json!([
            {"kind": "mention", "start": 2, "end": 7, "user_id": mike_id, "username": "mike"},
            {"kind": "tag", "start": 17, "end": 21, "tag": "tea"},
            {"kind": "link", "start": 22, "end": 42, "url": "https://example.org/"},
        ])
    );
    let path = format!("/api/v1/posts/{}", text(&post["id"]));
    let comment = json!({"text": "@mike #Tea"});
    let comment = mike.post(&format!("{path}/comments"), &comment).await.expect(201).json();
    assert_eq!(comment["entities"][0]["username"], "mike");
    let page = kevin.get(&format!("/p/{}", text(&post["id"]))).await.expect(200).text();
    for part in [
        "<a href=\"/u/mike\">@mike</a>, @nobody <a href=\"/tags/tea\">#Tea</a>",
        "<a href=\"https://example.org/\" rel=\"nofollow noopener ugc\">https://example.org/</a>&#60;b&#62;",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let changed = kevin.patch(&path, &json!({"caption": "#coffee"})).await.expect(200).json();
    assert_eq!(changed["entities"], json!([{"kind": "tag", "start": 0, "end": 7, "tag": "coffee"}]));
    // A mention of someone who is gone is plain text.
    mike.delete("/api/v1/me").await.expect(204);
    kevin.patch(&path, &json!({"caption": "@mike"})).await.expect(200);
    app.run_jobs().await;
    assert_eq!(kevin.get(&path).await.expect(200).json()["entities"], json!([]));
}

#[tokio::test]
async fn posts_are_found_by_their_tags() {
    let app = TestApp::start(crate::app()).await;
    let ((_, kevin), (_, mike)) = (sign_up(&app, "kevin").await, sign_up(&app, "mike").await);
    publish(&app, &kevin, "one #Café #tea").await;
    let two = publish(&app, &mike, "two #CAFÉ #teapot").await;
    publish(&app, &kevin, "three #cafe #t #テレビ").await;
    app.run_jobs().await;
    for tag in ["caf%C3%A9", "CAFE%CC%81", "%23Caf%C3%A9"] {
        assert_eq!(
            captions(&kevin, &format!("/api/v1/tags/{tag}/posts")).await,
            ["two #CAFÉ #teapot", "one #Café #tea"]
        );
    }
    let first = kevin.get("/api/v1/tags/café/posts?limit=1").await.expect(200).json();
    let next = format!("/api/v1/tags/caf%C3%A9/posts?limit=1&cursor={}", text(&first["next"]));
    assert_eq!(captions(&kevin, &next).await, ["one #Café #tea"]);
    let tags = async |q: &str| kevin.get(&format!("/api/v1/tags?q={q}")).await.expect(200).json();
    assert_eq!(tags("te").await, json!([{"name": "tea", "posts": 1}, {"name": "teapot", "posts": 1}]));
    assert_eq!(tags("%23CAF").await[0], json!({"name": "café", "posts": 2}));
    assert_eq!(tags("t").await, json!([{"name": "t", "posts": 1}]), "of one letter only itself");
    assert_eq!(tags("%E3%83%86").await[0]["name"], "テレビ");
    kevin.get("/api/v1/tags/two%20words/posts").await.expect(422);
    let page = kevin.get("/tags/caf%C3%A9").await.expect(200).text();
    assert!(page.contains("<h1>#café</h1>") && page.contains(&format!("/p/{}", text(&two["id"]))));

    let path = format!("/api/v1/posts/{}", text(&two["id"]));
    mike.patch(&path, &json!({"caption": "two"})).await.expect(200);
    assert_eq!(captions(&kevin, "/api/v1/tags/caf%C3%A9/posts").await, ["one #Café #tea"]);
    app.run_jobs().await;
    assert_eq!(tags("caf").await[0]["posts"], 1);
    assert_eq!(tags("teapo").await, json!([]));
}

#[tokio::test]
async fn people_are_found_by_any_word_of_their_names() {
    let app = TestApp::start(crate::app()).await;
    let (_, kevin) = sign_up(&app, "kevin").await;
    for (name, full_name) in [
        ("nunez.j", "José Núñez"),
        ("ana_k", "Ana Maria Kevinson"),
        ("kevin_2", "Kevin Two"),
        ("extraordinarily", ""),
    ] {
        app.clock().advance(Duration::from_millis(10));
        let (_, person) = sign_up(&app, name).await;
        person.patch("/api/v1/me", &json!({"full_name": full_name})).await.expect(200);
    }
    app.run_jobs().await;
    let users = async |q: &str| names(&kevin, &format!("/api/v1/search?q={q}"), "users", "username").await;
    assert_eq!(users("jose").await, ["nunez.j"]);
    assert_eq!(users("N%C3%BA%C3%B1").await, ["nunez.j"]);
    assert_eq!(users("maria+ana").await, ["ana_k"]);
    assert!(users("ana+jose").await.is_empty());
    assert_eq!(users("kevin").await, ["kevin", "kevin_2", "ana_k"], "just this name first, then the newest");
    assert_eq!(users("@KEVIN").await, ["kevin", "kevin_2", "ana_k"]);
    assert_eq!(users("k").await.len(), 3);
    assert_eq!(users("extraordinar").await, ["extraordinarily"]);
    assert!(users("extraordinary").await.is_empty(), "more letters than are indexed");
    assert!(users("%23kevin").await.is_empty() && users("...").await.is_empty());
    kevin.get("/api/v1/search?q=").await.expect(422);
    kevin.get("/api/v1/search").await.expect(422);

    let (mut walked, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = kevin.get(&format!("/api/v1/search?q=kevin&limit=1{cursor}")).await.expect(200).json();
        walked.extend(page["users"].as_array().unwrap().iter().map(|user| text(&user["username"])));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(walked, ["kevin", "kevin_2", "ana_k"]);
    let page = app.client().get("/search?q=nu%C3%B1ez").await.expect(200).text();
    assert!(page.contains("nunez.j"), "{page}");
}

#[tokio::test]
async fn explore_shows_what_is_liked_now_and_then_all_others() {
    let app = TestApp::start(crate::app()).await;
    let (mut people, mut posts) = (Vec::new(), Vec::new());
    for n in 0..4 {
        let (_, person) = sign_up(&app, &format!("person{n}")).await;
        posts.push(publish(&app, &person, &format!("p{n} #tag{n}")).await);
        people.push(person);
    }
    let explore = "/api/v1/explore";
    assert_eq!(
        captions(&people[0], explore).await,
        ["p3 #tag3", "p2 #tag2", "p1 #tag1", "p0 #tag0"],
        "none is ranked yet"
    );
    let like = async |person: usize, post: usize| {
        people[person].put(&format!("/api/v1/posts/{}/like", text(&posts[post]["id"]))).await.expect(204);
    };
    for person in 0..3 {
        like(person, 0).await;
    }
    like(0, 2).await;
    rank(&app).await;
    let ranked = ["p0 #tag0", "p2 #tag2", "p3 #tag3", "p1 #tag1"];
    assert_eq!(captions(&people[0], explore).await, ranked);
    assert_eq!(captions(&app.client(), explore).await, ranked);

    // Page by page in the same list, whatever is ranked meanwhile, and each post once.
    let first = people[0].get(&format!("{explore}?limit=1")).await.expect(200).json();
    app.clock().advance(Duration::from_secs(600));
    for person in 1..4 {
        like(person, 2).await;
    }
    publish(&app, &people[1], "new").await;
    rank(&app).await;
    assert_eq!(
        captions(&people[0], explore).await[0],
        "p2 #tag2",
        "four likes, of which three are new, are more than three"
    );
    let (mut walked, mut next) = (vec![text(&first["items"][0]["caption"])], first["next"].clone());
    while let Value::String(cursor) = next {
        let page = people[0].get(&format!("{explore}?limit=2&cursor={cursor}")).await.expect(200).json();
        walked.extend(page["items"].as_array().unwrap().iter().map(|post| text(&post["caption"])));
        next = page["next"].clone();
    }
    let others: Vec<&String> = walked.iter().filter(|caption| *caption != "new").collect();
    assert_eq!(others, ranked.iter().collect::<Vec<_>>());

    let rising = names(&people[0], "/api/v1/tags/rising", "", "name").await;
    assert_eq!(rising.len(), 4);
    // After an hour the list is not kept any more: the cursor goes on among all posts.
    app.clock().advance(Duration::from_secs(2 * 3_600));
    like(1, 3).await;
    rank(&app).await;
    let page = format!("{explore}?cursor={}", text(&first["next"]));
    assert_eq!(captions(&people[0], &page).await.len(), 5);
}

#[tokio::test]
async fn tags_tell_nothing_of_posts_that_are_hidden() {
    let app = TestApp::start(crate::app()).await;
    let (ann, bob) = (someone(&app, "ann").await, someone(&app, "bob").await);
    ann.publish(&[("caption", "#friends"), ("audience", "close_friends")]).await;
    ann.publish(&[("caption", "#mine")]).await;
    ann.put(&format!("/me/close-friends/{}", bob.id)).await;
    app.run_jobs().await;
    let tags = async |of: &TestClient, q: &str| names(of, &format!("/api/v1/tags?q={q}"), "", "name").await;
    assert!(tags(&ann.client, "friends").await.is_empty(), "a post for close friends is found by no tag");
    assert_eq!(tags(&bob.client, "mine").await, ["mine"]);
    ann.client.patch("/api/v1/me", &json!({"is_private": true})).await.expect(200);
    assert!(tags(&bob.client, "mine").await.is_empty(), "nobody but followers may see a post of this tag");
    assert_eq!(tags(&ann.client, "mine").await, ["mine"]);
    rank(&app).await;
    let rising = async |of: &TestClient| names(of, "/api/v1/tags/rising", "", "name").await;
    assert!(rising(&bob.client).await.is_empty());
    assert_eq!(rising(&ann.client).await, ["mine"]);
    // Nor does a mention tell of someone who is hidden.
    let post = bob.publish(&[("caption", "@ann")]).await;
    let entities = async || {
        bob.client.get(&format!("/api/v1/posts/{post}")).await.expect(200).json()["entities"].clone()
    };
    assert_eq!(entities().await[0]["username"], "ann");
    ann.put(&format!("/users/{}/block", bob.id)).await;
    assert_eq!(entities().await, json!([]));
    app.run_jobs().await;
}
