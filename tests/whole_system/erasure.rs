//! Deletion: what is deleted stays so, whatever comes at the same time, and an erased account leaves nothing.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tripod_tests::{Pairing, Person, PhotoPost, Reply, Server, Setup, Stored, eventually, photo, unique};

use crate::crash::check_edges;
use crate::product_path::ids;

/// The rows, each with its table, that contain any of these texts.
fn rows_with(stored: &Stored, texts: &[&str]) -> Vec<String> {
    let tables = stored.tables.iter();
    let rows = tables.flat_map(|(table, rows)| rows.iter().map(move |row| format!("{table}: {row}")));
    rows.filter(|row| texts.iter().any(|text| row.contains(text))).collect()
}

#[tokio::test]
async fn a_change_that_races_with_the_deletion_of_its_account_restores_nothing() {
    let server = Server::start().await;
    let people = join_all((0..60).map(|_| server.person("leaving"))).await;
    for person in &people {
        let change = json!({"full_name": "restored name", "bio": "restored bio"});
        let changes = join_all((0..4).map(|_| person.patch("/me", &change)));
        let (changed, deleted) = join(changes, person.delete("/me")).await;
        deleted.expect(204);
        let statuses: BTreeSet<u16> = changed.iter().map(|reply| reply.status).collect();
        assert!(statuses.iter().all(|status| [200, 401, 404].contains(status)), "{statuses:?}");
    }
    crate::idle(&server).await;
    let restored = rows_with(&server.stored().await, &["restored"]);
    assert_eq!(restored, Vec::<String>::new(), "in {} of {} rounds", restored.len(), people.len());
}

/// Everything that a person can do at the moment of their deletion, and what others can do to them.
async fn everything_at_once(
    server: &Server,
    leaving: &Person,
    staying: &Person,
    theirs: &Value,
    own: &Value,
) {
    let path = |list: &Value, what: &str| format!("/posts/{}/{what}", list["id"].as_str().unwrap());
    let put = |person: &Person, path: String| {
        let request = person.request(Method::PUT, &path);
        async move { Reply::to(request).await }
    };
    let comment = |person: &Person, post: &Value, key: bool| {
        let mut request =
            person.request(Method::POST, &path(post, "comments")).json(&json!({"text": "late words"}));
        if key {
            request = request.header("idempotency-key", unique("late"));
        }
        async move { Reply::to(request).await }
    };
    let avatar = leaving.request(Method::PUT, "/me/avatar").body(photo::jpeg(64, 64, 1));
    let password = json!({"current": "correct horse battery", "new": "another horse battery"});
    let password = leaving.request(Method::PUT, "/me/password").json(&password);
    let credentials = json!({"username": leaving.username, "password": "correct horse battery"});
    let post = leaving.publishing(&PhotoPost::of([photo::small()]).caption("late photo"));
    let log_in = server.api().request(Method::POST, "/sessions").json(&credentials);
    let sent: Vec<futures::future::BoxFuture<'_, Reply>> = vec![
        Box::pin(Reply::to(leaving.request(Method::DELETE, "/me"))),
        Box::pin(Reply::to(post.header("idempotency-key", unique("post")))),
        Box::pin(Reply::to(avatar)),
        Box::pin(Reply::to(password)),
        Box::pin(Reply::to(log_in)),
        Box::pin(comment(leaving, theirs, true)),
        Box::pin(comment(leaving, theirs, false)),
        Box::pin(comment(staying, own, false)),
        Box::pin(put(leaving, path(theirs, "like"))),
        Box::pin(put(leaving, path(theirs, "save"))),
        Box::pin(put(staying, path(own, "like"))),
        Box::pin(put(staying, path(own, "save"))),
        Box::pin(put(leaving, format!("/users/{}/follow", staying.id))),
        Box::pin(put(staying, format!("/users/{}/follow", leaving.id))),
    ];
    // 422: a password can't be changed where there is none.
    for reply in join_all(sent).await {
        assert!(
            [200, 201, 204, 401, 404, 422].contains(&reply.status),
            "{}: {} {}",
            reply.of,
            reply.status,
            reply.json
        );
    }
}

#[tokio::test]
async fn whatever_comes_with_a_deletion_leaves_nothing_behind() {
    let server = Server::start().await;
    let staying = server.person("staying").await;
    let theirs = staying.post_photo("kept").await;
    let mut left = Vec::new();
    for _ in 0..15 {
        let leaving = server.person("leaving").await;
        let own = leaving.post_photo("late photo").await;
        everything_at_once(&server, &leaving, &staying, &theirs, &own).await;
        left.push(leaving);
    }
    crate::idle(&server).await;
    let stored = server.stored().await;
    let gone: Vec<&str> = left.iter().flat_map(|person| [person.id.as_str(), &person.username]).collect();
    let found = rows_with(&stored, &[gone, vec!["late words", "late photo"]].concat());
    assert_eq!(found, Vec::<String>::new());
    assert_eq!(stored.files.len(), 1, "only the other's photo is left");
    check_edges(&stored);
    let comments = staying.walk(&format!("/posts/{}/comments", theirs["id"].as_str().unwrap()), 100).await;
    let shown = staying.get(&format!("/posts/{}", theirs["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["counts"], json!({"likes": 0, "comments": comments.len()}));
    assert_eq!(comments, Vec::<Value>::new());
}

#[tokio::test]
async fn edges_to_deleted_posts_do_not_outlive_kill_9() {
    let mut server = Setup::default().set("TRIPOD_QUEUE__LEASE_SECONDS", 3).start().await;
    let author = server.person("author").await;
    let fans = join_all((0..8).map(|_| server.person("fan"))).await;
    for round in 0..6 {
        let posts = join_all((0..6).map(|n| {
            let author = author.clone();
            async move { author.post_photo(&format!("{round} {n}")).await }
        }))
        .await;
        let (author, fans) = (author.clone(), fans.clone());
        // Likes, saves and deletions, until the server is gone.
        let racing = tokio::spawn(async move {
            let marks = fans.iter().flat_map(|fan| {
                posts.iter().flat_map(move |post| {
                    ["like", "save"].map(|what| {
                        let path = format!("/posts/{}/{what}", post["id"].as_str().unwrap());
                        Reply::try_to(fan.request(Method::PUT, &path))
                    })
                })
            });
            let deletions = posts.iter().map(|post| {
                Reply::try_to(
                    author.request(Method::DELETE, &format!("/posts/{}", post["id"].as_str().unwrap())),
                )
            });
            join(join_all(marks), join_all(deletions)).await
        });
        tokio::time::sleep(Duration::from_millis(40 + 30 * round)).await;
        server.kill_9();
        racing.await.unwrap();
        server.restart().await;
    }
    for post in author.walk(&format!("/users/{}/posts", author.id), 100).await {
        author.delete(&format!("/posts/{}", post["id"].as_str().unwrap())).await.expect(204);
    }
    crate::idle_within(&server, Duration::from_secs(60)).await;
    let stored = server.stored().await;
    check_edges(&stored);
    assert_eq!(stored.count("post"), 0);
    assert_eq!(stored.edges(), Vec::<&str>::new(), "live edges to posts that are gone");
    assert_eq!(stored.count("tripod_edge"), 0, "removed edges of posts that are gone");
}

/// What a person has written, chosen and uploaded, each with a text that is found nowhere else.
const CANARIES: [&str; 9] = [
    "canary.name",
    "canary full",
    "canary bio",
    "canary caption",
    "canary location",
    "canary alt",
    "canary comment",
    "canary@example.org",
    "canary-key",
];

/// Files below a directory that contain one of the texts.
fn files_with(directory: &Path, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, texts));
        } else if let Ok(bytes) = std::fs::read(&path) {
            for text in texts {
                if bytes.windows(text.len()).any(|part| part == text.as_bytes()) {
                    found.push(format!("{}: {text}", path.display()));
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn an_erased_account_is_found_nowhere() {
    let mut server = Server::start().await;
    let api = server.api();
    let staying = server.person("staying").await;
    let theirs = staying.post_photo("kept").await;
    let name = format!("{}{}", CANARIES[0], unique(""));
    let account = json!({"username": name, "password": "canary password", "full_name": CANARIES[1],
                         "email": CANARIES[7]});
    let made = api.request(Method::POST, "/accounts").json(&account).header("idempotency-key", CANARIES[8]);
    let leaving = Person::of(&api, &Reply::to(made).await.expect(201));
    leaving.patch("/me", &json!({"bio": CANARIES[2]})).await.expect(200);
    let post = PhotoPost::of([photo::small()]).caption(CANARIES[3]).text("location", CANARIES[4]);
    let post = leaving.publishing(&post.text("alt", CANARIES[5])).header("idempotency-key", CANARIES[8]);
    let post = Reply::to(post).await.expect(201);
    let avatar = leaving.request(Method::PUT, "/me/avatar").body(photo::jpeg(400, 300, 7));
    let avatar = Reply::to(avatar).await.expect(200)["avatar_url"].as_str().unwrap().to_owned();
    for n in 0..4 {
        let path = format!("/posts/{}/comments", theirs["id"].as_str().unwrap());
        let text = json!({"text": format!("{} {n}", CANARIES[6])});
        let comment =
            leaving.request(Method::POST, &path).json(&text).header("idempotency-key", unique("canary-key"));
        Reply::to(comment).await.expect(201);
    }
    leaving.like(&theirs).await;
    staying.like(&post).await;
    staying.comment(&post, "canary reply").await;
    leaving.follow(&staying).await;
    staying.follow(&leaving).await;
    leaving.unfollow(&staying).await;
    // Fills every cache.
    for reader in [&leaving, &staying] {
        reader.feed().await;
        reader.get(&format!("/users?username={name}")).await.expect(200);
    }
    api.post("/sessions", &json!({"username": name, "password": "canary password"})).await.expect(201);

    leaving.delete("/me").await.expect(204);
    api.post("/sessions", &json!({"username": name, "password": "canary password"})).await.problem(401);
    crate::gone(&staying, &avatar).await;
    crate::idle(&server).await;
    let shown = staying.get(&format!("/posts/{}", theirs["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(shown["counts"], json!({"likes": 0, "comments": 0}));

    let mut files = crate::media_keys(&post);
    files.push(avatar.rsplit('/').next().unwrap().to_owned());
    let mut texts: Vec<String> = CANARIES.iter().map(|canary| (*canary).to_owned()).collect();
    texts.extend([name.clone(), leaving.id.clone(), "canary reply".into(), "canary password".into()]);
    texts.extend(leaving.token().map(str::to_owned));
    texts.extend(files);
    for restarted in [false, true] {
        if restarted {
            server.restart().await;
            api.post("/accounts", &json!({"username": name, "password": "another password"}))
                .await
                .problem(409);
            assert_eq!(ids(&staying.feed().await), [theirs["id"].as_str().unwrap()]);
        }
        let stored = server.stored().await;
        let wanted: Vec<&str> = texts.iter().map(String::as_str).collect();
        assert_eq!(rows_with(&stored, &wanted), Vec::<String>::new(), "restarted: {restarted}");
        let names = stored.files.iter().map(|file| file.display().to_string());
        assert_eq!(names.filter(|file| texts.iter().any(|text| file.contains(text))).count(), 0);
        let log = server.log();
        let logged: Vec<&String> = texts.iter().filter(|text| log.contains(*text)).collect();
        assert_eq!(logged, Vec::<&String>::new(), "in the log");
        if Pairing::of_this_run() == Pairing::Embedded {
            let (begun, mut left) = (std::time::Instant::now(), Vec::new());
            // The files themselves. SQLite's log is emptied when nothing is written for a second.
            eventually("the files are clean", crate::SOON, async || {
                left = files_with(server.data(), &texts);
                (left.is_empty() || begun.elapsed() > crate::SOON / 2).then_some(())
            })
            .await;
            assert_eq!(left, Vec::<String>::new(), "restarted: {restarted}");
        }
        if let Some(values) = Stored::redis(server.data()) {
            // Keys are ids: that of an account which is gone is remembered as absent, for a while.
            let texts = texts.iter().filter(|text| **text != leaving.id);
            let found: Vec<&String> =
                texts.filter(|text| values.iter().any(|value| value.contains(*text))).collect();
            assert_eq!(found, Vec::<&String>::new(), "in Redis, restarted: {restarted}");
        }
    }
}
