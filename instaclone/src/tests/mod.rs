//! The product in process, on a clock and with jobs of the test's own: what happens between a write and its
//! jobs, and after a long time. What needs a real process is in the package `tripod-tests`.

mod authorization;
mod people;
mod search;
mod twin_worlds;
mod visibility;

use std::time::Duration;

use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tripod::App;
use tripod::id::{Id, Shard};
use tripod::testing::{Backing, LONG, TestApp, TestClient, sample_photo};

use crate::entity::account::Entity as Account;
use crate::schema::MIGRATIONS;

/// Signs up; gives the id and a client that is logged in.
async fn sign_up(app: &TestApp, name: &str) -> (String, TestClient) {
    let new = json!({"username": name, "password": "correct horse"});
    let signed_up = app.client().post("/api/v1/accounts", &new).await.expect(201).json();
    (text(&signed_up["user"]["id"]), app.signed_in(signed_up["token"].as_str().unwrap()))
}

async fn publish(author: &TestClient, caption: &str) -> Value {
    let photo = sample_photo();
    let form = [("photo", Some("a.png"), photo.as_slice()), ("caption", None, caption.as_bytes())];
    author.post_multipart("/api/v1/posts", &form).await.expect(201).json()
}

async fn feed(reader: &TestClient) -> Vec<Value> {
    reader.get("/api/v1/feed").await.expect(200).json()["items"].as_array().unwrap().clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_post_reaches_followers_when_its_fan_out_has_run() {
    let app = TestApp::start(crate::app()).await;
    let ((kevin_id, kevin), (_, mike)) = (sign_up(&app, "kevin").await, sign_up(&app, "mike").await);
    mike.put(&format!("/api/v1/users/{kevin_id}/follow")).await.expect(204);
    app.run_jobs().await;
    assert!(feed(&mike).await.is_empty(), "the timeline is built before the post");

    let post = publish(&kevin, "South Park").await;
    assert!(feed(&mike).await.is_empty(), "the fan-out has not run");
    app.run_jobs().await;
    assert_eq!(feed(&mike).await, std::slice::from_ref(&post));

    let path = format!("/api/v1/posts/{}", text(&post["id"]));
    mike.put(&format!("{path}/like")).await.expect(204);
    let seen = feed(&mike).await;
    assert_eq!((&seen[0]["counts"]["likes"], &seen[0]["viewer"]["liked"]), (&json!(1), &json!(true)));
    kevin.delete(&path).await.expect(204);
    assert!(feed(&mike).await.is_empty(), "a deleted post is shown to nobody, whatever jobs wait");
    app.run_jobs().await;
}

#[tokio::test]
async fn what_a_post_shows_of_its_author_and_itself_follows_their_changes() {
    let app = TestApp::start(crate::app()).await;
    let (_, kevin) = sign_up(&app, "kevin").await;
    let post = publish(&kevin, "before").await;
    app.run_jobs().await;
    // Both are read, and so cached, before each change.
    assert_eq!(feed(&kevin).await, std::slice::from_ref(&post));
    kevin.patch("/api/v1/me", &json!({"full_name": "Kevin S."})).await.expect(200);
    assert_eq!(feed(&kevin).await[0]["author"]["full_name"], "Kevin S.");
    let path = format!("/api/v1/posts/{}", text(&post["id"]));
    kevin.patch(&path, &json!({"caption": "after"})).await.expect(200);
    let seen = feed(&kevin).await;
    assert_eq!((&seen[0]["caption"], &seen[0]["photos"]), (&json!("after"), &post["photos"]));
    app.run_jobs().await;
}

#[tokio::test]
async fn a_key_is_good_for_a_day() {
    let app = TestApp::start(crate::app()).await;
    let (_, kevin) = sign_up(&app, "kevin").await;
    let post = text(&publish(&kevin, "").await["id"]);
    app.run_jobs().await;
    let (path, text) = (format!("/api/v1/posts/{post}/comments"), json!({"text": "Nice light"}));
    let keyed = kevin.clone().with_header("idempotency-key", "one");
    let first = keyed.post(&path, &text).await.expect(201).json()["id"].clone();
    app.clock().advance(Duration::from_secs(23 * 3_600));
    assert_eq!(keyed.post(&path, &text).await.expect(201).json()["id"], first);
    app.clock().advance(LONG);
    assert_ne!(keyed.post(&path, &text).await.expect(201).json()["id"], first);
    app.run_jobs().await;
}

#[tokio::test]
async fn nothing_of_a_deleted_account_is_shown_before_its_erasure_has_run() {
    let app = TestApp::start(crate::app()).await;
    let ((kevin_id, kevin), (_, mike)) = (sign_up(&app, "kevin").await, sign_up(&app, "mike").await);
    mike.put(&format!("/api/v1/users/{kevin_id}/follow")).await.expect(204);
    let post = text(&publish(&kevin, "gone soon").await["id"]);
    app.run_jobs().await;
    kevin.delete("/api/v1/me").await.expect(204);
    kevin.get("/api/v1/me").await.expect(401);
    for path in [format!("/api/v1/users/{kevin_id}"), format!("/api/v1/posts/{post}")] {
        mike.get(&path).await.expect(404);
    }
    assert!(feed(&mike).await.is_empty());
    app.run_jobs().await;
    mike.get(&format!("/api/v1/users/{kevin_id}")).await.expect(404);
}

#[tokio::test]
async fn the_comment_of_a_deleted_account_is_deleted_by_whose_post_it_is() {
    let app = TestApp::start(crate::app()).await;
    let ((_, kevin), (_, mike)) = (sign_up(&app, "kevin").await, sign_up(&app, "mike").await);
    let post = format!("/api/v1/posts/{}", text(&publish(&kevin, "talk").await["id"]));
    let mut comments = Vec::new();
    for words in ["first", "second"] {
        let comment =
            mike.post(&format!("{post}/comments"), &json!({"text": words})).await.expect(201).json();
        comments.push(format!("/api/v1/comments/{}", text(&comment["id"])));
    }
    mike.delete("/api/v1/me").await.expect(204);
    kevin.delete(&comments[0]).await.expect(204);
    let count = async || kevin.get(&post).await.expect(200).json()["counts"]["comments"].clone();
    assert_eq!(count().await, 1);
    app.run_jobs().await;
    assert_eq!(count().await, 0, "the erasure deletes the other");
}

#[tokio::test]
async fn deleted_names_crowd_nobody_out_of_a_search() {
    let app = TestApp::start(crate::app()).await;
    for n in 0..40 {
        sign_up(&app, &format!("anna{n:02}")).await.1.delete("/api/v1/me").await.expect(204);
    }
    let (_, last) = sign_up(&app, "anna_z").await;
    app.run_jobs().await;
    let found = last.get("/search?q=anna").await.expect(200).text();
    assert!(found.contains("anna_z"), "{found}");
}

#[tokio::test]
async fn an_account_that_an_earlier_version_has_deleted_is_erased() {
    let backing = Backing::embedded();
    let before = App::builder("instaclone", "0.0.1").migrations(&MIGRATIONS[..4]);
    let before = TestApp::start_on(before, backing.clone()).await;
    let shard = Shard::of_text("kevin");
    let [kevin, post, comment]: [i64; 3] =
        [0; 3].map(|_| before.app().shards.generate_id::<Account>(shard).unwrap().raw());
    let mike: i64 = before.app().shards.generate_id::<Account>(Shard::of_text("mike")).unwrap().raw();
    let (number, other) = (shard.number(), Shard::of_text("mike").number());
    for (account, sql) in [
        (kevin, format!("INSERT INTO account VALUES ({kevin}, 'kevin', '', '', NULL, 1, FALSE)")),
        (kevin, format!("INSERT INTO username VALUES ({number}, 'kevin', {kevin})")),
        (kevin, format!("INSERT INTO post VALUES ({post}, {kevin}, '', NULL, '[]', 1)")),
        (kevin, format!("INSERT INTO comment VALUES ({comment}, {post}, {mike}, 'left behind')")),
        (mike, format!("INSERT INTO account VALUES ({mike}, 'mike', '', 'back again', NULL, 0, TRUE)")),
        (mike, format!("INSERT INTO username VALUES ({other}, 'mike', {mike})")),
    ] {
        let write = before.app().write(Id::<Account>::from_raw(account), move |tx| async move {
            Ok(tx.connection_without_invalidation().execute_unprepared(&sql).await.map(drop)?)
        });
        write.await.unwrap();
    }
    drop(before);

    let app = TestApp::start_on(crate::app(), backing).await;
    app.run_jobs().await;
    let post = format!("/api/v1/posts/{post}");
    assert_eq!(app.client().get(&post).await.expect(200).json()["counts"]["comments"], 0);
    assert_eq!(app.client().get(&format!("{post}/comments")).await.expect(200).json()["items"], json!([]));
    app.client().get(&format!("/api/v1/users/{mike}")).await.expect(404);
    let again = json!({"username": "mike", "password": "correct horse"});
    app.client().post("/api/v1/accounts", &again).await.expect(409);
    let names = app.app().primary().starting_with::<crate::entity::username::Entity>("", 10).await.unwrap();
    assert_eq!(names.iter().map(|name| name.peek().name.as_str()).collect::<Vec<_>>(), ["kevin"]);
}

/// The Argon2id hash of `correct horse`, as an earlier version stored it.
const STORED_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$YJzjjmVk/jqKOA6Ux3h+sg$d9sdNU+7vTohZpHfdpMmVuY42dTkZrRtLshjc6PWB9M";

#[tokio::test]
async fn a_password_from_before_the_framework_stored_it_still_logs_in() {
    let backing = Backing::embedded();
    let before = App::builder("instaclone", "0.0.1").migrations(&MIGRATIONS[..3]);
    let before = TestApp::start_on(before, backing.clone()).await;
    let shard = Shard::of_text("kevin");
    let id: Id<Account> = before.app().shards.generate_id(shard).unwrap();
    let (number, shard_number) = (id.raw(), shard.number());
    let rows = before.app().write(id, move |tx| async move {
        for sql in [
            format!("INSERT INTO account VALUES ({number}, 'kevin', 'Kevin', '', NULL, 0, FALSE)"),
            format!("INSERT INTO username VALUES ({shard_number}, 'kevin', {number})"),
            format!("INSERT INTO credential VALUES ({number}, NULL, '{STORED_HASH}', NULL)"),
        ] {
            tx.connection_without_invalidation().execute_unprepared(&sql).await?;
        }
        Ok(())
    });
    rows.await.unwrap();
    drop(before);

    let app = TestApp::start_on(crate::app(), backing).await;
    let log_in = |password| json!({"username": "kevin", "password": password});
    app.client().post("/api/v1/sessions", &log_in("wrong horse")).await.expect(401);
    let session = app.client().post("/api/v1/sessions", &log_in("correct horse")).await.expect(201).json();
    let kevin = app.signed_in(session["token"].as_str().unwrap());
    assert_eq!(kevin.get("/api/v1/me").await.expect(200).json()["full_name"], "Kevin");
}
