//! Ten thousand concurrent reads of a missing key, in four processes, cause one load.

use tripod::conformance::{CacheFixture, Note, Stores};
use tripod::id::Id;
use tripod::testing::{Backing, eventually};
use tripod_tests::servers::Redis;

const PROCESSES: usize = 4;
const ASKING: usize = 10_000;

struct Stampede {
    redis: Redis,
    note: Id<Note>,
    processes: Vec<CacheFixture>,
    stores: Stores,
}

async fn stampede() -> Stampede {
    let redis = Redis::start().await;
    let stores = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let author = stores.author("author").await;
    let note = stores.note(author, "a").await;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        processes.push(CacheFixture::of(&stores.reopened().await));
    }
    Stampede { redis, note, processes, stores }
}

impl Stampede {
    fn loads(&self) -> usize {
        self.processes.iter().map(CacheFixture::loads).sum()
    }

    /// All read concurrently; returns how many got the text.
    async fn run(&self) -> usize {
        let asking: Vec<_> = (0..ASKING)
            .map(|n| {
                let (texts, note) = (self.processes[n % PROCESSES].clone(), self.note);
                tokio::spawn(async move { texts.text(note).await.unwrap() })
            })
            .collect();
        let mut told = 0;
        for asked in asking {
            told += usize::from(asked.await.unwrap().as_deref() == Some("a"));
        }
        told
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_misses_load_once() {
    let stampede = stampede().await;
    assert_eq!(stampede.run().await, ASKING);
    assert_eq!(stampede.loads(), 1);
    // After a flush it is loaded once more at most.
    stampede.redis.flush().await;
    assert_eq!(stampede.run().await, ASKING);
    assert!(stampede.loads() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loader_who_is_killed_is_replaced_by_one() {
    let stampede = stampede().await;
    // A fifth process takes the lease, reads the database, and dies.
    let killed = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (stores, note) = (stampede.stores.clone(), stampede.note);
    let holder = killed.spawn(async move {
        let texts = CacheFixture::of(&stores.reopened().await);
        texts.hold();
        let asking = texts.clone();
        tokio::spawn(async move { asking.text(note).await });
        texts
    });
    let holder = holder.await.unwrap();
    eventually("the first process loads", async || (holder.loads() == 1).then_some(())).await;
    killed.shutdown_background();
    assert_eq!(stampede.run().await, ASKING);
    assert_eq!(stampede.loads(), 1, "not one load after the killed one");
}
