//! Notes on PostgreSQL servers of the bench's own, with durable commits, for measuring the framework
//! without a product around it.

#![allow(dead_code, reason = "each bench is a crate of its own and uses its part of this")]

use std::time::{Duration, Instant};

use sea_orm::ActiveValue::Set;
use tripod::Error;
use tripod::cache::Cache;
use tripod::config;
use tripod::conformance::{Author, Note, Stores, author, note};
use tripod::id::{Clock, Id, Shard};
use tripod::shard::{Consistency, Read, Shards};
use tripod::telemetry::Metrics;
use tripod::testing::Backing;
use tripod_tests::servers::Postgres;

/// A server, so many databases on it, and the framework over them.
pub struct Notes {
    pub server: Postgres,
    pub names: Vec<String>,
    pub stores: Stores,
    /// The same databases, with rows that are cached and stand in no timeline: a new one is a row alone.
    pub shards: Shards,
}

impl Notes {
    pub async fn start(databases: usize) -> Self {
        let server = Postgres::start_with(&[("max_connections", "200")]).await;
        let names: Vec<String> = (0..databases).map(|index| format!("notes_{index}")).collect();
        for name in &names {
            server.create_database(name).await;
        }
        let urls = names.iter().map(|name| server.url(name)).collect();
        let stores = Stores::at(Backing::servers(urls, ()), Clock::system()).await;
        let settings = config::Cache { memory_bytes: 16 << 20, value_bytes: 64 << 10 };
        let cache = Cache::open(None, stores.clock.clone(), &settings, &Metrics::default()).expect("a cache");
        let databases = stores.shards.databases().to_vec();
        let shards = Shards::open(databases, stores.clock.clone(), cache).await.expect("the same databases");
        shards.cache_rows::<Note>();
        Self { server, names, stores, shards }
    }

    /// Reads from the databases, past the cache.
    pub fn read(&self) -> Read {
        self.shards.read(Consistency::Primary)
    }
}

/// A new note by an author of this shard.
pub async fn insert(shards: &Shards, author: Id<Author>) -> Result<Id<Note>, Error> {
    let row = note::ActiveModel {
        author_id: Set(author),
        text: Set("a note of some thirty characters".to_owned()),
        ..Default::default()
    };
    shards.write(author, move |tx| async move { tx.insert(row).await }).await
}

/// New authors, on shards all over the place.
pub async fn authors(shards: &Shards, count: u16) -> Vec<Id<Author>> {
    let mut authors = Vec::new();
    for n in 0..count {
        let shard = Shard::new(n.wrapping_mul(811) % 8_192).expect("below 8,192");
        let row = author::ActiveModel { name: Set(format!("author {n}")), ..Default::default() };
        let made = shards.write(shard, move |tx| async move { tx.insert(row).await });
        authors.push(made.await.expect("an author is written"));
    }
    authors
}

/// How often a second `clients` tasks, each going on at once, get through `work`.
pub async fn rate<F: Future<Output = ()> + Send>(
    clients: usize,
    window: Duration,
    work: impl Fn(usize) -> F + Clone + Send + 'static,
) -> f64 {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let work = work.clone();
            tokio::spawn(async move {
                let mut done = 0_u64;
                while begun.elapsed() < window {
                    work(client).await;
                    done += 1;
                }
                done
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("a client does not panic");
    }
    done as f64 / begun.elapsed().as_secs_f64()
}
