//! Two processes perform random steps while anything happens to Redis. Once all is quiet, each reader's
//! timeline matches the databases.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::Mutex;
use tripod::conformance::{Author, Stores};
use tripod::id::Id;
use tripod::testing::Backing;
use tripod_tests::servers::Redis;

use super::steps::{self, Step, TOGETHER};
use super::{connected, seed, settled};

const ROUNDS: usize = 12;
const STEPS: usize = 8;

/// A random event.
#[derive(Clone, Copy, Debug)]
enum Event {
    Taken(Step),
    Flush,
    Save,
    Restart,
}

fn event(dice: &mut impl Rng) -> Event {
    match dice.random_range(0..100) {
        0..2 => Event::Flush,
        2..4 => Event::Save,
        4..6 => Event::Restart,
        _ => Event::Taken(steps::step(dice)),
    }
}

async fn happen(event: Event, processes: &[Stores; 2], people: &[Id<Author>], redis: &Mutex<Redis>) {
    match event {
        Event::Taken(step) => steps::take(step, processes, people).await,
        Event::Flush => redis.lock().await.flush().await,
        Event::Save => redis.lock().await.save().await,
        Event::Restart => redis.lock().await.restart().await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_timelines_are_what_the_databases_say() {
    let mut dice = StdRng::seed_from_u64(seed());
    let redis = Redis::start().await;
    let first = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let processes = [first.clone(), first.reopened().await];
    let redis = Mutex::new(redis);
    let _workers = [processes[0].work(), processes[1].work()];
    let people = steps::people(&first).await;
    for round in 0..ROUNDS {
        let mut happened = Vec::new();
        for _ in 0..STEPS {
            let events: Vec<Event> = (0..TOGETHER).map(|_| event(&mut dice)).collect();
            let happening = events.iter().map(|event| happen(*event, &processes, &people, &redis));
            futures::future::join_all(happening).await;
            happened.extend(events);
        }
        connected(&[&processes[0], &processes[1]]).await;
        settled(&first).await;
        steps::compare(&processes, &people, &format!("round {round} was {happened:?}")).await;
    }
}
