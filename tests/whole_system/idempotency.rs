//! `Idempotency-Key`: a repeated request has no second effect and gets the first reply.

use futures::future::join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tripod_tests::{Person, PhotoPost, Reply, Server, photo, unique};

fn keyed(person: &Person, method: Method, path: &str, key: &str, json: &Value) -> RequestBuilder {
    person.request(method, path).header("idempotency-key", key).json(json)
}

#[tokio::test]
async fn a_repeat_gets_the_first_reply_and_has_no_effect() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let comments = format!("/posts/{}/comments", post["id"].as_str().unwrap());
    let comment = json!({"text": "once"});
    let first = Reply::to(keyed(&kevin, Method::POST, &comments, "a", &comment)).await.expect(201);
    let stored = server.stored().await;
    for _ in 0..3 {
        let again = Reply::to(keyed(&kevin, Method::POST, &comments, "a", &comment)).await;
        assert_eq!(again.header("content-type"), "application/json");
        assert_eq!(again.expect(201), first);
    }
    assert_eq!(stored.difference(&server.stored().await), Vec::<String>::new());
    let second = Reply::to(keyed(&kevin, Method::POST, &comments, "b", &comment)).await.expect(201);
    assert_ne!(first["id"], second["id"]);

    // The first reply, even if the state has changed since.
    let patch = Reply::to(keyed(&kevin, Method::PATCH, "/me", "c", &json!({"bio": "one"}))).await.expect(200);
    kevin.patch("/me", &json!({"bio": "two"})).await.expect(200);
    let again = Reply::to(keyed(&kevin, Method::PATCH, "/me", "c", &json!({"bio": "one"}))).await.expect(200);
    assert_eq!(again, patch);
    assert_eq!(kevin.get("/me").await.expect(200)["bio"], "two");

    let id = |row: &Value| row["id"].as_str().unwrap().to_owned();
    for (what, key) in [(format!("/comments/{}", id(&first)), "d"), (format!("/posts/{}", id(&post)), "e")] {
        for _ in 0..2 {
            let deleted = kevin.request(Method::DELETE, &what).header("idempotency-key", key);
            Reply::to(deleted).await.expect(204);
        }
        kevin.delete(&what).await.problem(404);
    }
}

/// The comment is on its post's shard, and the key is on the shard of the account that deletes it.
#[tokio::test]
async fn a_comment_on_anothers_post_is_deleted_and_counted_once() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.post_photo("x").await;
    mike.comment(&post, "stays").await;
    let path = format!("/comments/{}", mike.comment(&post, "goes").await["id"].as_str().unwrap());
    let delete = || Reply::to(mike.request(Method::DELETE, &path).header("idempotency-key", "k"));
    for reply in join_all((0..20).map(|_| delete())).await {
        reply.expect(204);
    }
    let shown = mike.get(&format!("/posts/{}", post["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["counts"]["comments"], 1);
}

#[tokio::test]
async fn another_request_under_a_used_key_is_refused() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let path = format!("/posts/{}", post["id"].as_str().unwrap());
    let comments = format!("{path}/comments");
    Reply::to(keyed(&kevin, Method::POST, &comments, "a", &json!({"text": "one"}))).await.expect(201);
    let published = kevin.publishing(&PhotoPost::of([photo::jpeg(40, 30, 1)])).header("idempotency-key", "p");
    Reply::to(published).await.expect(201);
    crate::idle(&server).await;
    let before = server.stored().await;
    for other in [
        keyed(&kevin, Method::POST, &comments, "a", &json!({"text": "two"})),
        keyed(&kevin, Method::PATCH, "/me", "a", &json!({"bio": "x"})),
        keyed(&kevin, Method::PATCH, &path, "a", &json!({"text": "one"})),
        kevin.publishing(&PhotoPost::of([photo::jpeg(40, 30, 1)])).header("idempotency-key", "a"),
        kevin.publishing(&PhotoPost::of([photo::jpeg(40, 30, 2)])).header("idempotency-key", "p"),
        kevin
            .publishing(&PhotoPost::of([photo::jpeg(40, 30, 1)]).caption("x"))
            .header("idempotency-key", "p"),
    ] {
        let problem = Reply::to(other).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{problem}");
    }
    assert_eq!(before.difference(&server.stored().await), Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let comments = format!("/posts/{}/comments", post["id"].as_str().unwrap());
    Reply::to(keyed(&kevin, Method::POST, &comments, "a", &json!({"text": ""}))).await.problem(422);
    Reply::to(keyed(&kevin, Method::POST, &comments, "a", &json!({"text": "better"}))).await.expect(201);
}

#[tokio::test]
async fn keys_of_two_accounts_never_meet() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.post_photo("x").await;
    let comments = format!("/posts/{}/comments", post["id"].as_str().unwrap());
    let same = json!({"text": "same"});
    let his = Reply::to(keyed(&kevin, Method::POST, &comments, "k", &same)).await.expect(201);
    let other = Reply::to(keyed(&mike, Method::POST, &comments, "k", &same)).await.expect(201);
    assert_ne!(his["id"], other["id"]);
    assert_eq!(other["author"]["id"], mike.id);
    Reply::to(keyed(&mike, Method::POST, &comments, "k2", &json!({"text": "mine"}))).await.expect(201);
    Reply::to(keyed(&kevin, Method::POST, &comments, "k2", &json!({"text": "his"}))).await.expect(201);
}

#[tokio::test]
async fn a_hundred_comments_at_once_under_one_key_are_one() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let path = format!("/posts/{}", post["id"].as_str().unwrap());
    let comments = format!("{path}/comments");
    let one = || Reply::to(keyed(&kevin, Method::POST, &comments, "k", &json!({"text": "once"})));
    let replies = join_all((0..100).map(|_| one())).await;
    let first = replies[0].clone().expect(201);
    for reply in replies {
        assert_eq!(reply.expect(201), first);
    }
    assert_eq!(kevin.walk(&comments, 100).await, [first]);
    assert_eq!(kevin.get(&path).await.expect(200)["counts"]["comments"], 1);
}

#[tokio::test]
async fn a_hundred_posts_at_once_under_one_key_are_one_though_each_has_its_own_boundary() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let form = PhotoPost::of([photo::small()]).caption("once");
    let one = || Reply::to(kevin.publishing(&form).header("idempotency-key", "k"));
    let (mut ids, mut busy) = (Vec::new(), 0);
    for reply in join_all((0..100).map(|_| one())).await {
        match reply.status {
            // Too many pictures for the queue: a refusal to be retried, without any effect.
            503 => busy += 1,
            _ => ids.push(reply.expect(201)),
        }
    }
    assert!(busy < 100 && ids.iter().all(|post| *post == ids[0]), "{ids:?}");
    assert_eq!(one().await.expect(201), ids[0]);
    let stored = server.stored().await;
    assert_eq!((stored.count("post"), stored.files.len()), (1, 1), "{busy} were busy");
    assert_eq!(kevin.get("/me").await.expect(200)["counts"]["posts"], 1);
}

#[tokio::test]
async fn a_key_is_known_after_a_restart() {
    let mut server = Server::start().await;
    let kevin = server.person("kevin").await;
    let form = PhotoPost::of([photo::small()]);
    let first = Reply::to(kevin.publishing(&form).header("idempotency-key", "k")).await.expect(201);
    server.restart().await;
    let again = Reply::to(kevin.publishing(&form).header("idempotency-key", "k")).await.expect(201);
    assert_eq!(again, first);
    assert_eq!(kevin.feed().await.len(), 1);
}

#[tokio::test]
async fn a_key_of_255_characters_is_taken_and_one_of_256_is_not() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let form = PhotoPost::of([photo::small()]);
    let bio = json!({"bio": "x"});
    let (fits, long) = ("k".repeat(255), "k".repeat(256));
    Reply::to(keyed(&kevin, Method::PATCH, "/me", &fits, &bio)).await.expect(200);
    for bad in ["", &long] {
        Reply::to(keyed(&kevin, Method::PATCH, "/me", bad, &bio)).await.problem(422);
        Reply::to(kevin.publishing(&form).header("idempotency-key", bad)).await.problem(422);
    }
    assert_eq!(server.stored().await.count("post"), 0);
}

#[tokio::test]
async fn a_sign_up_whose_reply_was_lost_can_be_sent_again() {
    let server = Server::start().await;
    let api = server.api();
    let username = unique("kevin");
    let sign_up = |password: &str, key: &str| {
        let account = json!({"username": username, "password": password});
        Reply::to(api.request(Method::POST, "/accounts").header("idempotency-key", key).json(&account))
    };
    let first = sign_up("right password", "k").await.expect(201);
    let again = sign_up("right password", "k").await.expect(201);
    assert_eq!(first["user"]["id"], again["user"]["id"]);
    for reply in [&first, &again] {
        Person::of(&api, reply).get("/me").await.expect(200);
    }
    sign_up("right password", "another").await.problem(409);
    sign_up("wrong password", "k").await.problem(409);
    assert_eq!(server.stored().await.count("account"), 1);
}

#[tokio::test]
async fn a_sign_up_under_a_key_of_256_characters_is_refused() {
    let server = Server::start().await;
    let api = server.api();
    let long = "k".repeat(256);
    let account = json!({"username": unique("mike"), "password": "right password"});
    Reply::to(api.request(Method::POST, "/accounts").header("idempotency-key", long).json(&account))
        .await
        .problem(422);
}
