//! Thousands of logical shards on a few databases: everything is where its id says.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Row, SOON, State, thousands};
use crate::{Person, Server, Setup, Stored, eventually};

pub(super) const ROW: Row = Row {
    name: "shards",
    of_2011: "PostgreSQL, thousands of logical shards on a few physical ones",
    here: "`shard`: 8,192 logical shards (the id's 13 bits) on any number of databases, moved while live",
    state: State::InPart(
        || Box::pin(prove()),
        "PostgreSQL (the databases are SQLite files), and moving a shard to another database",
    ),
};

const SHARDS: usize = 8_192;
const DATABASES: usize = 4;
const PEOPLE: usize = 40;
/// The tables, and the column whose id says the shard.
const TABLES: [(&str, &str); 6] = [
    ("account", "id"),
    ("post", "id"),
    ("comment", "id"),
    ("tripod_edge", "near_id"),
    ("tripod_edge_count", "near_id"),
    ("tripod_session", "id"),
];

async fn prove() -> String {
    let place = tempfile::tempdir().expect("a temporary directory");
    let files: Vec<PathBuf> = (0..DATABASES).map(|n| place.path().join(format!("db-{n}.db"))).collect();
    let mut server = start(place.path(), &files).await;
    let people = people(&server).await;
    let post = people[0].post_photo("for everybody").await;
    for person in &people[1..] {
        person.follow(&people[0]).await;
        person.comment(&post, "hello").await;
    }
    let before = seen(&server, &people).await;
    assert!(server.terminate().await.success(), "it stops when asked to");

    let (mut shards, mut rows) = (Vec::new(), 0);
    for file in &files {
        let held = numbers(file, "SELECT CAST(shard AS TEXT) FROM tripod_shard WHERE state = 'active'").await;
        assert_eq!(held.len(), SHARDS / DATABASES, "the shards of {}", file.display());
        let mut here = 0;
        for (table, column) in TABLES {
            let sql = format!("SELECT CAST(({column} >> 10) & 8191 AS TEXT) FROM {table}");
            for shard in numbers(file, &sql).await {
                assert!(held.contains(&shard), "{} has a row of shard {shard} in {table}", file.display());
                here += 1;
            }
        }
        assert!(here > 0, "{} has no row and shows nothing", file.display());
        rows += here;
        shards.extend(held);
    }
    shards.sort_unstable();
    assert_eq!(shards, (0..SHARDS).collect::<Vec<_>>(), "each shard is held once");

    // The databases say themselves what they hold, so the order in which they are listed is nothing.
    let turned: Vec<PathBuf> = files.iter().rev().cloned().collect();
    let again = start(place.path(), &turned).await;
    assert_eq!(seen(&again, &people).await, before, "the same databases in another order");
    format!(
        "8,192 logical shards on {DATABASES} databases, {} each; all {rows} rows of {PEOPLE} people stood in \
         the database that holds the shard in their id; a restart with the databases listed in another \
         order showed everybody the same.",
        thousands(SHARDS / DATABASES)
    )
}

async fn start(place: &Path, files: &[PathBuf]) -> Server {
    let urls: Vec<String> = files.iter().map(|file| format!("sqlite://{}", file.display())).collect();
    Setup::default().set("TRIPOD_DATABASES", urls.join(",")).data(&place.join("data")).start().await
}

/// People under names that are the same in each run, and so on the same shards.
async fn people(server: &Server) -> Vec<Person> {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        let account = json!({"username": format!("person.{n}"), "password": "correct horse battery"});
        let made = server.api().post("/accounts", &account).await.expect(201);
        people.push(Person::of(&server.api(), &made));
    }
    people
}

/// What everybody sees of their own profile and feed, on this server, by their old sessions.
async fn seen(server: &Server, people: &[Person]) -> Vec<Value> {
    let mut seen = Vec::new();
    for person in people {
        let api = server.api().with_token(person.token().expect("a person has a token"));
        seen.push(api.get("/me").await.expect(200));
        let feed = eventually("the post is in the feed", SOON, async || {
            Some(api.get("/feed").await.expect(200)).filter(|feed| feed["items"][0].is_object())
        });
        seen.push(feed.await);
    }
    seen
}

async fn numbers(database: &Path, sql: &str) -> Vec<usize> {
    let url = format!("sqlite://{}", database.display());
    let found = Stored::query_one(&url, sql).await;
    found.iter().map(|number| number.parse().expect("a number of a shard")).collect()
}
