//! Thousands of logical shards on a few databases: everything is where its id says.

use serde_json::{Value, json};

use super::{Row, SOON, State, thousands};
use crate::servers::Postgres;
use crate::{Person, Server, Setup, Stored, eventually};

pub(super) const ROW: Row = Row {
    name: "shards",
    of_2011: "PostgreSQL, thousands of logical shards on a few physical ones",
    here: "`shard`: 8,192 logical shards (the id's 13 bits) on any number of databases, moved while live",
    state: State::InPart(|| Box::pin(prove()), "moving a shard to another database"),
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
    let quick = || Postgres::start_with(&[("fsync", "off")]);
    let servers = [quick().await, quick().await];
    let mut databases = Vec::new();
    for n in 0..DATABASES {
        let (server, name) = (&servers[n % servers.len()], format!("db_{n}"));
        server.create_database(&name).await;
        databases.push(server.url(&name));
    }
    let migrated = setup(&databases).run(place.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let mut server = setup(&databases).start().await;
    let people = people(&server).await;
    let post = people[0].post_photo("for everybody").await;
    for person in &people[1..] {
        person.follow(&people[0]).await;
        person.comment(&post, "hello").await;
    }
    let before = seen(&server, &people).await;
    assert!(server.terminate().await.success(), "it stops when asked to");

    let (mut shards, mut rows) = (Vec::new(), 0);
    for (n, database) in databases.iter().enumerate() {
        let held =
            numbers(database, "SELECT CAST(shard AS TEXT) FROM tripod_shard WHERE state = 'active'").await;
        assert_eq!(held.len(), SHARDS / DATABASES, "the shards of db_{n}");
        let mut here = 0;
        for (table, column) in TABLES {
            let sql = format!("SELECT CAST(({column} >> 10) & 8191 AS TEXT) FROM {table}");
            for shard in numbers(database, &sql).await {
                assert!(held.contains(&shard), "db_{n} has a row of shard {shard} in {table}");
                here += 1;
            }
        }
        assert!(here > 0, "db_{n} has no rows to check");
        rows += here;
        shards.extend(held);
    }
    shards.sort_unstable();
    assert_eq!(shards, (0..SHARDS).collect::<Vec<_>>(), "each shard is held once");

    // The databases say themselves what they hold, so the order in which they are listed is nothing.
    databases.reverse();
    let again = setup(&databases).data(server.data()).start().await;
    assert_eq!(seen(&again, &people).await, before, "the same databases in another order");
    format!(
        "8,192 logical shards on {DATABASES} databases of {} PostgreSQL servers, {} each; all {rows} rows of {PEOPLE} people stood in \
         the database that holds the shard in their id; a restart with the databases listed in another \
         order showed everybody the same.",
        servers.len(),
        thousands(SHARDS / DATABASES)
    )
}

fn setup(databases: &[String]) -> Setup {
    Setup::embedded().set("TRIPOD_DATABASES", databases.join(","))
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

async fn numbers(database: &str, sql: &str) -> Vec<usize> {
    let found = Stored::query_one(database, sql).await;
    found.iter().map(|number| number.parse().expect("a number of a shard")).collect()
}
