//! Search over HTTP, with a million posts and a hundred thousand people (`--full`; a twentieth of both
//! otherwise): tags by their beginning, the posts of a tag, and people by the beginnings of words.
//!
//! The rows and the index are written into the databases directly, as the app would have written them. Each
//! request asks for something else, so most rows come from the databases and not from the cache.

mod report;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use report::{Bar, Report, has_argument, median, ms, percentile, progress};
use serde_json::{Value, json};
use tripod::id::{SHARDS, Shard};
use tripod_tests::{Api, Server, Stored};

/// The requests of each kind.
const REQUESTS: usize = 2_000;
/// What a person waits for without noticing, of which the network has its share.
const BAR: Option<Bar> = Some(Bar::ValueAtMost(20.0));
/// Rows per statement.
const ROWS: usize = 500;
/// Tags per post, and different tags.
const TAGS_OF_POST: usize = 3;
const TAGS: usize = 20_000;

const SYLLABLES: [&str; 40] = [
    "ba", "be", "bo", "ca", "co", "da", "de", "el", "fa", "fi", "ga", "go", "ha", "in", "ja", "ka", "ki",
    "la", "li", "lo", "ma", "me", "mi", "na", "ni", "no", "pa", "pe", "ra", "ri", "ro", "sa", "se", "si",
    "so", "ta", "te", "to", "va", "zu",
];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let (posts, people) = if has_argument("--full") { (1_000_000, 100_000) } else { (50_000, 5_000) };
    progress("starting the server");
    let mut server = Server::start().await;
    server.person("author").await.post_photo("a photo to copy").await;
    server.terminate().await;
    let mut random = StdRng::seed_from_u64(7);
    let filled = Instant::now();
    let world = World::fill(server.data(), posts, people, &mut random).await?;
    progress(&format!("filled in {:.0} s", filled.elapsed().as_secs_f64()));
    server.restart().await;

    let api = server.api();
    let mut report = Report::new();
    let tag = |random: &mut StdRng| world.tags[zipf(random, world.tags.len())].clone();
    let beginning = |word: &str, random: &mut StdRng| {
        word.chars().take(random.random_range(2..=word.len().max(2))).collect::<String>()
    };
    let name = |random: &mut StdRng| world.names[random.random_range(0..world.names.len())].clone();
    for (what, path) in [
        (
            "tags by prefix",
            &(|random: &mut StdRng| format!("/tags?q={}", beginning(&tag(random), random)))
                as &dyn Fn(&mut StdRng) -> String,
        ),
        ("posts of a tag", &|random| format!("/tags/{}/posts?limit=20", tag(random))),
        ("people and tags by prefix", &|random| format!("/search?q={}", beginning(&name(random), random))),
    ] {
        let times = ask(&api, &mut random, path).await?;
        report.alone(format!("search, {what}, p50"), median(&times), "ms", None);
        report.alone(format!("search, {what}, p99"), percentile(&times, 99), "ms", BAR);
    }
    report.note(format!(
        "{posts} posts, {people} people, {} entries for tags, {TAGS} tags by Zipf's law; {REQUESTS} requests of each \
         kind, one after the other",
        posts * TAGS_OF_POST
    ));
    report.print();
    Ok(())
}

/// How long each of the requests took, in milliseconds.
async fn ask(api: &Api, random: &mut StdRng, path: &dyn Fn(&mut StdRng) -> String) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(REQUESTS);
    for number in 0..REQUESTS + 50 {
        let path = path(random);
        let begun = Instant::now();
        let reply = api.get(&path).await;
        ensure!(reply.status == 200, "{path} is answered with {}", reply.status);
        // The first ones open connections.
        if number >= 50 {
            times.push(ms(begun.elapsed()));
        }
    }
    Ok(times)
}

/// What was written: the tags, the most frequent first, and people's words.
struct World {
    tags: Vec<String>,
    names: Vec<String>,
}

impl World {
    async fn fill(data: &Path, posts: usize, people: usize, random: &mut StdRng) -> Result<Self> {
        let photo = Stored::query(data, "SELECT CAST(photos AS text) FROM post").await;
        let photos = small(photo.first().context("there is no post to copy")?)?;
        let tags: Vec<String> = (0..TAGS).map(|n| format!("{}{n}", word(random, 2..5))).collect();
        let (mut rows, mut index) = (Rows::default(), Index::default());
        let (mut authors, mut names) = (Vec::new(), Vec::new());
        for n in 0..people {
            let (first, last) = (word(random, 2..4), word(random, 2..5));
            let username = format!("{first}_{n}");
            let shard = Shard::of_text(&username);
            let id = id(n, people, shard, 40);
            rows.add(
                "account (id, username, full_name, bio, post_count)",
                shard,
                format!("({id}, '{username}', '{first} {last}', '', 0)"),
            );
            rows.add(
                "username (shard, name, account_id)",
                shard,
                format!("({}, '{username}', {id})", shard.number()),
            );
            for word in [first.clone(), last.clone(), n.to_string()] {
                for length in 1..=word.len().min(8) {
                    index.add("account_by_name", &word[..length], Shard::of_text(&word[..length]), id);
                }
            }
            authors.push(id);
            names.extend([first, last]);
        }
        for n in 0..posts {
            let author = authors[random.random_range(0..authors.len())];
            let shard = Shard::of_id(author);
            let id = id(n, posts, shard, 30);
            let (mut caption, mut entities) = ("a photo".to_owned(), Vec::new());
            let mut own: Vec<usize> = (0..TAGS_OF_POST).map(|_| zipf(random, TAGS)).collect();
            own.sort_unstable();
            own.dedup();
            for tag in own.into_iter().map(|tag| &tags[tag]) {
                let start = caption.len() + 1;
                write!(caption, " #{tag}")?;
                entities.push(json!({"start": start, "end": caption.len(), "kind": "tag", "tag": tag}));
                index.add("post_by_tag", tag, Shard::of_text(&tag[..2]), id);
            }
            let entities = Value::from(entities);
            let columns = "post (id, author_id, caption, photos, comment_count, entities)";
            rows.add(columns, shard, format!("({id}, {author}, '{caption}', '{photos}', 0, '{entities}')"));
            if rows.count >= 100_000 {
                rows.write(data).await;
                progress(&format!("{} of {posts} posts", n + 1));
            }
        }
        rows.write(data).await;
        progress("writing the index");
        index.write(data, &mut rows).await;
        Ok(Self { tags, names })
    }
}

/// A photo's JSON with its first file and without its placeholder, which would make the bulk of the database.
fn small(photos: &str) -> Result<String> {
    let mut photos: Value = serde_json::from_str(photos)?;
    let photo = &mut photos[0];
    photo["placeholder"] = json!("");
    let first = photo["files"][0].clone();
    photo["files"] = json!([first]);
    Ok(photos.to_string())
}

/// Rows that are not yet written, by database and columns.
#[derive(Default)]
struct Rows {
    rows: BTreeMap<(usize, &'static str), Vec<String>>,
    count: usize,
}

impl Rows {
    fn add(&mut self, columns: &'static str, shard: Shard, row: String) {
        let database = usize::from(shard.number() >= SHARDS / 2);
        self.rows.entry((database, columns)).or_default().push(row);
        self.count += 1;
    }

    async fn write(&mut self, data: &Path) {
        for ((database, columns), rows) in std::mem::take(&mut self.rows) {
            let mut sql = "BEGIN;".to_owned();
            for rows in rows.chunks(ROWS) {
                let _ = write!(sql, "INSERT INTO {columns} VALUES {};", rows.join(","));
            }
            sql.push_str("COMMIT");
            Stored::execute(data, database, &sql).await;
        }
        self.count = 0;
    }
}

/// The entries of the indexes, in the order of their keys.
#[derive(Default)]
struct Index(BTreeMap<(u16, &'static str, String), Vec<i64>>);

impl Index {
    fn add(&mut self, name: &'static str, key: &str, shard: Shard, row: i64) {
        let rows = self.0.entry((shard.number(), name, key.to_owned())).or_default();
        // A person may have two words that begin alike.
        if rows.last() != Some(&row) {
            rows.push(row);
        }
    }

    async fn write(self, data: &Path, rows: &mut Rows) {
        for ((number, name, key), entries) in self.0 {
            let Ok(shard) = Shard::new(number) else { continue };
            let count = entries.len();
            rows.add(
                "tripod_index_count (shard, name, key, count)",
                shard,
                format!("({number}, '{name}', '{key}', {count})"),
            );
            for row in entries {
                rows.add(
                    "tripod_index (shard, name, key, row_id)",
                    shard,
                    format!("({number}, '{name}', '{key}', {row})"),
                );
            }
            if rows.count >= 200_000 {
                rows.write(data).await;
            }
        }
        rows.write(data).await;
    }
}

/// An id on this shard, of the `n`th of `all` rows that were made over a month, which began so many days after
/// the epoch of ids.
fn id(n: usize, all: usize, shard: Shard, days: u64) -> i64 {
    let ms = days * 86_400_000 + n as u64 * 2_592_000_000 / all as u64;
    ((ms << 23) | (u64::from(shard.number()) << 10) | (n as u64 % 1_024)) as i64
}

fn word(random: &mut StdRng, syllables: std::ops::Range<usize>) -> String {
    let count = random.random_range(syllables);
    (0..count).map(|_| SYLLABLES[random.random_range(0..SYLLABLES.len())]).collect()
}

/// A rank by Zipf's law: the first is as frequent as the second and third together.
fn zipf(random: &mut StdRng, ranks: usize) -> usize {
    let rank = (ranks as f64).powf(random.random_range(0.0..1.0f64));
    (rank as usize).saturating_sub(1).min(ranks - 1)
}
