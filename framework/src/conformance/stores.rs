//! All stores of the framework, on any of their backends.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::ActiveValue::Set;
use tokio_util::sync::CancellationToken;

use super::fixtures::{self, Keeps, NoteByWord, Reads, Shuns, author, note};
use crate::app;
use crate::cache::Cache;
use crate::config;
use crate::db::{Database, migrate};
use crate::error::Result;
use crate::graph::{EdgeKind, Graph};
use crate::id::{Clock, EPOCH_MS, Id, Shard};
use crate::index::{IndexKind, Indexes};
use crate::media::{MediaStore, Uploads};
use crate::queue::{JobId, Queue, Registry, Run, Worker};
use crate::redis::Redis;
use crate::shard::{self, Consistency, Keyset, Read, Shards, Table};
use crate::telemetry::Metrics;
use crate::testing::{Backing, eventually};
use crate::timeline::{self, Timelines};
use crate::web::Sessions;

/// The settings for tests.
const DATABASE: config::Database =
    config::Database { readers: 2, connections: 8, wait_seconds: 5, statement_seconds: 10 };
const CACHE: config::Cache = config::Cache { memory_bytes: 16 << 20, value_bytes: 64 << 10 };
const QUEUE: config::Queue = config::Queue { workers: 4, lease_seconds: 15 };

/// A worker that runs until this is dropped.
pub struct Working(Option<tokio::runtime::Runtime>);

impl Drop for Working {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}

/// The stores, which are also the context of jobs in tests. Clones share everything.
#[derive(Clone)]
pub struct Stores {
    /// A manual clock; a worker's own pauses are real.
    pub clock: Clock,
    /// All data, on two databases.
    pub shards: Shards,
    /// Jobs.
    pub queue: Queue,
    /// Edges.
    pub graph: Graph,
    /// Notes by the words in them.
    pub indexes: Indexes,
    /// Timelines of notes: ten items each, fanned out on read above three readers.
    pub timelines: Timelines,
    /// Files, in a directory.
    pub media: MediaStore,
    /// Uploads, abandoned after an hour.
    pub uploads: Uploads,
    /// Signed-in devices.
    pub sessions: Sessions,
    /// Redis, if these stores have one.
    pub redis: Option<Redis>,
    /// The metrics of these stores.
    pub metrics: Metrics,
    backing: Backing,
    registry: Arc<std::sync::Mutex<Option<Registry<Stores>>>>,
}

impl AsRef<Graph> for Stores {
    fn as_ref(&self) -> &Graph {
        &self.graph
    }
}

impl AsRef<Indexes> for Stores {
    fn as_ref(&self) -> &Indexes {
        &self.indexes
    }
}

impl AsRef<Timelines> for Stores {
    fn as_ref(&self) -> &Timelines {
        &self.timelines
    }
}

impl AsRef<MediaStore> for Stores {
    fn as_ref(&self) -> &MediaStore {
        &self.media
    }
}

impl Stores {
    /// New, empty stores.
    pub async fn new(backing: Backing) -> Self {
        Self::with_jobs(backing, |_| {}).await
    }

    /// The same, with this clock instead of a manual one.
    pub async fn at(backing: Backing, clock: Clock) -> Self {
        Self::open(backing, clock, |_| {}).await.expect("new stores open")
    }

    /// New, empty stores, with the test's own jobs.
    pub async fn with_jobs(backing: Backing, register: impl FnOnce(&mut Registry<Self>)) -> Self {
        let clock = Clock::manual(EPOCH_MS + 1_000_000_000);
        Self::open(backing, clock, register).await.expect("new stores open")
    }

    /// The stores of a process that starts after this one has gone: the same databases, nothing in
    /// memory.
    pub async fn reopened(&self) -> Self {
        self.reopened_with(|_| {}).await
    }

    /// The same, with the test's own jobs.
    pub async fn reopened_with(&self, register: impl FnOnce(&mut Registry<Self>)) -> Self {
        Self::open(self.backing.clone(), self.clock.clone(), register).await.expect("stores open again")
    }

    /// The same, through another address of the same Redis, such as a proxy's.
    pub async fn reopened_through(&self, redis: &str) -> Self {
        let backing = self.backing.clone().with_redis(redis);
        Self::open(backing, self.clock.clone(), |_| {}).await.expect("stores open again")
    }

    /// The stores of a process that starts after the machine's clock has been set to `now_ms`, such as
    /// back.
    pub async fn reopened_at(&self, now_ms: u64) -> Self {
        self.reopened_with_clock(Clock::manual(now_ms), |_| {}).await
    }

    /// The stores of a process with another clock, and with the test's own jobs.
    pub async fn reopened_with_clock(
        &self,
        clock: Clock,
        register: impl FnOnce(&mut Registry<Self>),
    ) -> Self {
        Self::open(self.backing.clone(), clock, register).await.expect("stores open again")
    }

    async fn open(
        backing: Backing,
        clock: Clock,
        register: impl FnOnce(&mut Registry<Self>),
    ) -> Result<Self> {
        let databases = databases(backing.databases()).await?;
        let redis = match backing.redis() {
            Some(url) => Some(Redis::open(url).await?),
            None => None,
        };
        let metrics = Metrics::default();
        let cache = Cache::open(redis.clone(), clock.clone(), &CACHE, &metrics)?;
        let shards = Shards::open(databases, clock.clone(), cache).await?;
        shards.cache_rows::<note::Entity>();
        let mut registry = Registry::new();
        app::register_jobs(&mut registry);
        register(&mut registry);
        let queue = Queue::new(shards.clone(), &registry, &QUEUE);
        let kinds = [EdgeKind::of::<Reads>(), EdgeKind::of::<Keeps>(), EdgeKind::of::<Shuns>()];
        let graph = Graph::new(shards.clone(), queue.clone(), &kinds);
        graph.add_owned::<note::Entity>(true);
        let indexes = Indexes::new(shards.clone(), &[IndexKind::of::<NoteByWord>()]);
        let settings = config::Timeline { length: 10, pull_above: 3, cache_bytes: 1 << 20 };
        let kinds = [timeline::TimelineKind::of::<note::Entity>()];
        let timelines =
            Timelines::open(&kinds, shards.clone(), graph.clone(), redis.clone(), settings).await?;
        let registry = Arc::new(std::sync::Mutex::new(Some(registry)));
        let media = MediaStore::open_directory(backing.directory()).await?;
        let uploads = Uploads::new(shards.clone(), queue.clone(), Duration::from_secs(3_600));
        let sessions = Sessions::new(shards.clone(), 100);
        Ok(Self {
            clock,
            sessions,
            shards,
            queue,
            graph,
            indexes,
            timelines,
            media,
            uploads,
            redis,
            metrics,
            backing,
            registry,
        })
    }

    /// Checks the clock as a process does at start, and watches it from then on.
    ///
    /// # Errors
    /// Configuration, if the clock is wrong.
    pub async fn check_clock(&self, trusted: bool) -> Result<()> {
        let tables = [Table::sharded::<author::Entity>(), Table::sharded::<note::Entity>()];
        app::clock_check::check(&self.shards, &tables, trusted).await?;
        app::clock_check::watch(&self.shards);
        Ok(())
    }

    /// Starts a worker on its own threads. When the result is dropped, the worker and its jobs vanish in
    /// the middle of their work, as in a process that is killed.
    ///
    /// # Panics
    /// If a worker was started before.
    pub fn work(&self) -> Working {
        let registry = self.registry.lock().expect("no test panics while holding this").take();
        let worker = Worker::new(self.queue.clone(), registry.expect("one worker"), self.clone(), &QUEUE);
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let threads = threads.expect("a thread for the worker");
        threads.spawn(worker.run(CancellationToken::new()));
        Working(Some(threads))
    }

    /// Waits until no job waits or runs.
    pub async fn idle(&self) {
        eventually("the queue runs empty", async || {
            self.queue.waiting().await.expect("the queue answers").is_empty().then_some(())
        })
        .await;
    }

    /// Reads from the primary databases.
    pub fn primary(&self) -> Read {
        self.shards.read(Consistency::Primary)
    }

    /// Reads through the cache.
    pub fn cached(&self) -> Read {
        self.shards.read(Consistency::Cached)
    }

    /// A new author on the shard of their name.
    pub async fn author(&self, name: &str) -> Id<author::Entity> {
        let new = author::ActiveModel { name: Set(name.to_owned()), ..Default::default() };
        let shard = Shard::of_text(name);
        self.shards.write(shard, move |tx| async move { tx.insert(new).await }).await.expect("an author")
    }

    /// A new note, which appears in the timelines of its author's readers.
    pub async fn note(&self, author: Id<author::Entity>, text: &str) -> Id<note::Entity> {
        let new =
            note::ActiveModel { author_id: Set(author), text: Set(text.to_owned()), ..Default::default() };
        self.shards.write(author, move |tx| async move { tx.insert(new).await }).await.expect("a note")
    }

    /// A reader's whole timeline, newest first, read in pages of three.
    ///
    /// # Panics
    /// If it can't be read.
    pub async fn timeline(&self, reader: Id<author::Entity>) -> Vec<Id<note::Entity>> {
        let (mut walked, mut keyset) = (Vec::new(), Keyset::newest(3));
        loop {
            let part = self.cached().available().timeline_ids::<note::Entity>(reader, keyset).await;
            let part = part.expect("a timeline");
            let ids: Vec<_> = part.items.iter().map(|(id, ())| *id).collect();
            // Not through the cache, so that deleted rows are gone at once.
            let rows = self.primary().available().find_many(&ids).await.expect("notes");
            walked.extend(rows.iter().map(|row| row.peek().id));
            if part.next.is_none() {
                return walked;
            }
            keyset.after = part.next;
        }
    }

    /// Enqueues a job on an author's shard.
    ///
    /// # Errors
    /// Any error of the queue.
    pub async fn enqueue<J: Run<Self>>(&self, author: Id<author::Entity>, job: J) -> Result<JobId> {
        self.queue.enqueue(author, job).await
    }
}

/// Opens these databases, migrates them and assigns their shards.
pub(crate) async fn databases(urls: &[String]) -> Result<Vec<Database>> {
    let mut migrations = app::migrations();
    migrations.push(fixtures::MIGRATION);
    let mut databases = Vec::new();
    for url in urls {
        let database = Database::open(url, &DATABASE).await?;
        migrate(&database, &migrations).await?;
        databases.push(database);
    }
    shard::assign_shards(&databases).await?;
    Ok(databases)
}
