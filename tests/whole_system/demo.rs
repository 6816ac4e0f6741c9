//! `--demo`: a service with demo data, filled once, and only if it is empty.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tripod_tests::{Api, Person, Server, Setup, Stored, eventually};

/// The epoch of ids: 2025-01-01.
const EPOCH_MS: u64 = 1_735_689_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

fn time_ms(item: &Value) -> u64 {
    (item["id"].as_str().unwrap().parse::<u64>().unwrap() >> 23) + EPOCH_MS
}

fn announced(server: &Server, what: &str) -> String {
    let printed = server.printed();
    let line = printed.lines().find_map(|line| line.strip_prefix(&format!("  {what}  ")));
    line.unwrap_or_else(|| panic!("no {what} is announced: {printed}")).to_owned()
}

async fn log_in(server: &Server, credentials: &Value) -> Person {
    let api = server.api();
    Person::of(&api, &api.post("/sessions", credentials).await.expect(201))
}

/// Asserts that every photo of a post exists and has a description.
async fn assert_photos(api: &Api, post: &Value) -> usize {
    let photos = post["photos"].as_array().unwrap();
    assert!(!photos.is_empty());
    for photo in photos {
        assert!(photo["alt"].as_str().unwrap().len() > 20, "no text alternative: {photo}");
        assert_eq!(photo["width"], 1080);
        assert_eq!(photo["variants"].as_array().unwrap().len(), 3);
        let file = api.get(&format!("~{}", photo["url"].as_str().unwrap())).await;
        assert_eq!((file.status, file.header("content-type")), (200, "image/jpeg"));
        assert!(file.bytes.len() > 10_000, "a picture of only {} bytes", file.bytes.len());
    }
    photos.len()
}

async fn assert_people(api: &Api, stored: &Stored, posts: &[Value]) {
    assert_eq!(stored.count("account"), 40);
    let authors: BTreeSet<&str> = posts.iter().map(|post| post["author"]["id"].as_str().unwrap()).collect();
    assert!(authors.len() >= 35, "only {} of them have posted", authors.len());
    let (mut followers, mut made) = (BTreeSet::new(), 0);
    for id in authors {
        let user = api.get(&format!("/users/{id}")).await.expect(200);
        assert!(!user["bio"].as_str().unwrap().is_empty() && !user["full_name"].as_str().unwrap().is_empty());
        let avatar = api.get(&format!("~{}", user["avatar_url"].as_str().unwrap())).await;
        assert_eq!(avatar.status, 200);
        made += user["counts"]["posts"].as_u64().unwrap();
        followers.insert(user["counts"]["followers"].as_u64().unwrap());
    }
    assert_eq!(made, posts.len() as u64, "the authors' counts differ from the number of posts");
    assert!(followers.len() > 10, "all users are equally popular: {followers:?}");
}

#[tokio::test]
async fn the_demo_fills_an_empty_service_once_and_stays() {
    let mut server = Setup::default().argument("--demo").start().await;
    let stored = server.stored().await;
    assert_eq!(stored.count("tripod_job"), 0, "jobs are left although the server says it is ready");
    let credentials =
        json!({"username": announced(&server, "name"), "password": announced(&server, "password")});
    let person = log_in(&server, &credentials).await;

    let feed = person.walk("/feed", 20).await;
    assert!(feed.len() > 60, "the feed has only {} posts", feed.len());
    let posts = person.walk("/explore", 50).await;
    assert!((150..=250).contains(&posts.len()), "{} posts", posts.len());
    let mut photos = 0;
    for post in &posts {
        photos += assert_photos(&person, post).await;
        assert!(post["caption"].as_str().unwrap().len() > 10);
    }
    assert!(photos > posts.len(), "no post has several photos");
    let alike: BTreeSet<&str> = posts.iter().map(|post| post["caption"].as_str().unwrap()).collect();
    assert_eq!(alike.len(), posts.len(), "no caption is used twice");
    assert!(posts.iter().any(|post| post["location"].is_string()));
    assert_people(&person, &stored, &posts).await;

    let times: Vec<u64> = posts.iter().map(time_ms).collect();
    let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    assert!(times.iter().all(|time| *time < now_ms) && now_ms - times[0] < DAY_MS);
    let weeks: BTreeSet<u64> = times.iter().map(|time| time / (7 * DAY_MS)).collect();
    assert!(weeks.len() >= 5, "the posts are of {} weeks", weeks.len());

    let sum = |what: &str| posts.iter().map(|post| post["counts"][what].as_u64().unwrap()).sum::<u64>();
    assert_eq!(sum("comments"), stored.count("comment") as u64);
    let likes = stored.edges().iter().filter(|row| row.contains("'like'")).count() as u64;
    assert_eq!(sum("likes") * 2, likes, "an edge is not stored at both ends");
    let talked = posts.iter().max_by_key(|post| post["counts"]["comments"].as_u64()).unwrap();
    let comments = person.walk(&format!("/posts/{}/comments", talked["id"].as_str().unwrap()), 50).await;
    assert_eq!(comments.len() as u64, talked["counts"]["comments"].as_u64().unwrap());
    assert!(
        comments.iter().all(|comment| time_ms(comment) > time_ms(talked)),
        "a comment is older than its post"
    );

    assert!(server.terminate().await.success());
    let before = Stored::read(server.data()).await;
    let again = Setup::default().data(server.data()).run(server.scratch(), &["--demo"]).await;
    let sentence = again.stderr.lines().last().unwrap_or_default();
    assert!(!again.status.success() && !again.stdout.contains("is ready"), "{again:?}");
    for part in ["error: ", "--demo", "empty", "TRIPOD_DATA_DIR"] {
        assert!(sentence.contains(part), "the message lacks {part:?}: {sentence}");
    }
    let after = Stored::read(server.data()).await;
    assert!(before == after, "{:?}", before.difference(&after));

    let served = Setup::default().data(server.data()).start().await;
    let person = log_in(&served, &credentials).await;
    let ids = |posts: &[Value]| posts.iter().map(|post| post["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&person.walk("/feed", 20).await), ids(&feed));
}

#[tokio::test]
async fn a_demo_that_was_cut_short_is_not_gone_on_with() {
    let place = tempfile::tempdir().unwrap();
    let command = Setup::embedded().argument("--demo").command(place.path(), "127.0.0.1:0");
    // Killed even if this test fails.
    let mut command = tokio::process::Command::from(command);
    let mut filling = command.kill_on_drop(true).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mark = place.path().join("data/demo-unfinished");
    eventually("the seeding begins", crate::SOON, async || mark.exists().then_some(())).await;
    filling.kill().await.unwrap();
    let again = Setup::embedded().run(place.path(), &["serve", "--demo"]).await;
    assert!(!again.status.success() && !again.stdout.contains("is ready"), "{again:?}");
    let sentence = again.stderr.lines().last().unwrap_or_default();
    for part in ["error: ", "cut short", "delete", "shard-0.db", "TRIPOD_DATA_DIR"] {
        assert!(sentence.contains(part), "the message lacks {part:?}: {sentence}");
    }
}

#[tokio::test]
async fn other_roles_have_no_demo() {
    let place = tempfile::tempdir().unwrap();
    for arguments in [["migrate", "--demo"], ["--demo", "migrate"], ["jobs", "--demo"]] {
        let exit = Setup::default().run(place.path(), &arguments).await;
        assert_eq!(exit.status.code(), Some(2), "{arguments:?}: {exit:?}");
        assert!(exit.stderr.starts_with("error: ") && exit.stderr.contains("'--demo'"), "{exit:?}");
    }
    assert!(!place.path().join("data").exists(), "the data directory was created");
}
