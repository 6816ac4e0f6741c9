//! Two processes do anything in any order while anything happens to Redis; when all is quiet, each
//! reader's timeline is what the databases say.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use sea_orm::EntityTrait;
use tokio::sync::Mutex;
use tripod::id::Id;
use tripod::testing::{Author, Backing, Note, Reads, Stores};
use tripod_tests::servers::Redis;

use super::{connected, expected, note, settled};

const PEOPLE: usize = 7;
const ROUNDS: usize = 12;
const STEPS: usize = 8;
/// Steps taken at the same time.
const TOGETHER: usize = 4;

/// One thing that happens: what, by which process, to whom.
#[derive(Clone, Copy, Debug)]
enum Step {
    Connect(usize, usize, usize),
    Disconnect(usize, usize, usize),
    Note(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
    Flush,
    Save,
    Restart,
}

fn step(dice: &mut impl Rng) -> Step {
    let (process, one, other) =
        (dice.random_range(0..2), dice.random_range(0..PEOPLE), dice.random_range(0..PEOPLE));
    match dice.random_range(0..100) {
        0..18 if one != other => Step::Connect(process, one, other),
        18..32 if one != other => Step::Disconnect(process, one, other),
        32..60 => Step::Note(process, one),
        60..66 => Step::Delete(process, one),
        66..94 => Step::Read(process, one),
        94..96 => Step::Flush,
        96..98 => Step::Save,
        98..100 => Step::Restart,
        _ => Step::Read(process, one),
    }
}

async fn take(step: Step, processes: &[Stores; 2], people: &[Id<Author>], redis: &Mutex<Redis>) {
    match step {
        Step::Connect(process, from, to) => {
            processes[process].graph.connect::<Reads>(people[from], people[to]).await.unwrap();
        }
        Step::Disconnect(process, from, to) => {
            processes[process].graph.disconnect::<Reads>(people[from], people[to]).await.unwrap();
        }
        Step::Note(process, author) => drop(note(&processes[process], people[author]).await),
        Step::Delete(process, author) => {
            let stores = &processes[process];
            let notes =
                stores.shards.list(people[author], tripod::shard::Page::<Note>::first(3)).await.unwrap();
            let Some(last) = notes.last().map(|row| row.peek().id) else { return };
            let delete = stores.shards.write::<_, tripod::Error, _>(last.shard(), move |tx| {
                Box::pin(async move { Ok(Note::delete_by_id(last).exec(tx.connection()).await?) })
            });
            delete.await.unwrap();
        }
        Step::Read(process, reader) => drop(processes[process].timeline(people[reader]).await),
        Step::Flush => redis.lock().await.flush().await,
        Step::Save => redis.lock().await.save().await,
        Step::Restart => redis.lock().await.restart().await,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_the_timelines_are_what_the_databases_say() {
    let seed = std::env::var("TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("TEST_SEED={seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let redis = Redis::start().await;
    let first = Stores::new(Backing::embedded().with_redis(&redis.url())).await;
    let processes = [first.clone(), first.reopened().await];
    let redis = Mutex::new(redis);
    let _workers = [processes[0].work(), processes[1].work()];
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(first.author(&format!("person-{n}")).await);
    }
    for round in 0..ROUNDS {
        let mut taken = Vec::new();
        for _ in 0..STEPS {
            let steps: Vec<Step> = (0..TOGETHER).map(|_| step(&mut dice)).collect();
            let taking = steps.iter().map(|step| take(*step, &processes, &people, &redis));
            futures::future::join_all(taking).await;
            taken.extend(steps);
        }
        connected(&[&processes[0], &processes[1]]).await;
        settled(&first).await;
        for reader in &people {
            let expected = expected(&first, *reader).await;
            for (process, stores) in processes.iter().enumerate() {
                for read in ["first", "second"] {
                    let shown = stores.timeline(*reader).await;
                    assert_eq!(
                        shown, expected,
                        "round {round}, process {process}, {read} read of {reader:?}; the round was {taken:?}"
                    );
                }
            }
        }
    }
}
