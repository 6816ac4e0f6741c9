//! The role `index`: an index that was lost is made again while the app serves, and after a kill.

use std::process::Stdio;
use std::time::Duration;

use tripod_tests::{Server, Setup, Stored, eventually};

use crate::idle;

/// What one database has of an index, as text.
const ENTRIES: &str = "SELECT name || ' ' || key || ' ' || row_id FROM tripod_index";
const COUNTS: &str = "SELECT name || ' ' || key || ' ' || count FROM tripod_index_count";

async fn index(server: &Server) -> (Vec<String>, Vec<String>) {
    let (mut entries, mut counts) =
        (Stored::query(server.data(), ENTRIES).await, Stored::query(server.data(), COUNTS).await);
    entries.sort();
    counts.sort();
    (entries, counts)
}

async fn drop_index(server: &Server) {
    for database in [0, 1] {
        Stored::execute(server.data(), database, "DELETE FROM tripod_index; DELETE FROM tripod_index_count")
            .await;
    }
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_while_the_app_serves_and_after_a_kill() {
    let server = Server::start().await;
    let mut people = Vec::new();
    for n in 0..6 {
        let person = server.person("person").await;
        for m in 0..4 {
            person.post_photo(&format!("#common #n{n} #m{m}")).await;
        }
        people.push(person);
    }
    idle(&server).await;
    let before = index(&server).await;
    assert!(before.0.len() > 72, "{before:?}");
    let setup = || Setup::default().data(server.data());
    let place = tempfile::tempdir().unwrap();

    let right = setup().run(place.path(), &["index", "rebuild"]).await;
    assert!(right.status.success(), "{right:?}");
    for name in ["post_by_tag: matches its rows", "account_by_name: matches its rows"] {
        assert!(right.stdout.contains(name), "{right:?}");
    }
    assert_eq!(index(&server).await, before, "what was right has changed");

    drop_index(&server).await;
    let found = async || people[0].walk("/tags/common/posts", 100).await.len();
    assert_eq!(found().await, 0);
    // Killed at once, or a little later: whatever it has done, the next continues.
    for wait_ms in [0, 20, 60, 150] {
        let mut command = setup().command(place.path(), "127.0.0.1:0");
        let silent = command.args(["index", "rebuild"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut rebuild = silent.spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        rebuild.kill().unwrap();
        rebuild.wait().unwrap();
        people[1].post_photo("#common, written meanwhile").await;
    }
    let rebuild = setup().run(place.path(), &["index", "rebuild", "post_by_tag"]).await;
    assert!(rebuild.status.success(), "{rebuild:?}");
    assert!(setup().run(place.path(), &["index", "rebuild", "account_by_name"]).await.status.success());
    eventually("every post is found", crate::SOON, async || (found().await == 28).then_some(())).await;
    idle(&server).await;
    let (entries, counts) = index(&server).await;
    let of_before: Vec<&String> = before.0.iter().filter(|entry| !entries.contains(entry)).collect();
    assert!(of_before.is_empty(), "missing: {of_before:?}");
    assert_eq!(entries.len(), before.0.len() + 4);
    assert!(counts.contains(&"post_by_tag common 28".to_owned()), "{counts:?}");
    let tags = people[0].get("/tags?q=comm").await.expect(200);
    assert_eq!(tags, serde_json::json!([{"name": "common", "posts": 28}]), "{tags}");

    let unknown = setup().run(place.path(), &["index", "rebuild", "post_by_colour"]).await;
    assert!(
        !unknown.status.success() && unknown.stderr.contains("post_by_tag, account_by_name"),
        "{unknown:?}"
    );
}
