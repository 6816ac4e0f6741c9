//! The queue under workers that are killed and workers that are stalled: every job takes effect once.
//!
//! The jobs are those that write inverse edges, as if the processes that added the edges had died before they
//! could: each adds one to a count, so that an effect which is lost or repeated is seen. `SEED=n` repeats the
//! choice of the workers.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tripod_tests::{Person, Stored, eventually};

use super::several::{Service, Worker};

/// Jobs of each person. With `FULL` in the environment the queue holds a million.
fn jobs_each() -> usize {
    if std::env::var_os("FULL").is_some() { 125_000 } else { 500 }
}
const PEOPLE: usize = 8;
/// Others are enqueued by schedules.
const JOBS: &str = "FROM tripod_job WHERE name = 'tripod.write_far_end'";
/// Counted by the server, a little late: to count the rows themselves takes longer than to do a job.
const DELETED: &str = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'tripod_job'";
/// Between two looks.
const LOOK: Duration = Duration::from_millis(200);
const WORKERS: usize = 3;
/// Jobs that each of them runs at once.
const AT_ONCE: u32 = 32;
const LEASE_SECONDS: u32 = 3;
/// Workers that are killed or stalled, spread over the run.
const FAULTS: i64 = 6;
/// Jobs that are left when all workers are killed.
const FEW: i64 = 200;
/// Time until the jobs of dead workers are done.
const TAKEN_OVER: Duration = Duration::from_secs(30);

/// Copies a post this often, a millisecond apart.
async fn copy_post(url: &str, post: i64, copies: usize) {
    let copy = format!(
        "INSERT INTO post SELECT (jsonb_populate_record(p, jsonb_build_object('id', p.id - (n::bigint << 23)))).* \
         FROM post p, generate_series(1, {copies}) n WHERE p.id = {post}"
    );
    Stored::query_one(url, &copy).await;
}

/// Likes of the copies of a post whose inverse edges are left to jobs.
async fn like_copies(url: &str, person: i64, number: usize, post: i64, copies: usize) {
    let shard = person >> 10 & 8191;
    let version = format!("((n::bigint << 23) + ({shard} << 10) + {number})");
    let far = format!("({post} - (n::bigint << 23))");
    let each = format!("FROM generate_series(1, {copies}) n");
    let payload = format!(
        "jsonb_build_object('kind', 'like', 'from', {person}, 'to', {far}, 'version', {version}, 'live', true)"
    );
    for sql in [
        format!(
            "INSERT INTO tripod_edge (near_id, kind, direction, far_id, version, live) SELECT {person}, 'like', 0, {far}, {version}, true {each}"
        ),
        format!(
            "INSERT INTO tripod_edge_count (near_id, kind, direction, count) VALUES ({person}, 'like', 0, {copies})"
        ),
        format!(
            "INSERT INTO tripod_job (id, name, payload, run_at_ms, wait_ms, attempt, dead) SELECT {version}, 'tripod.write_far_end', {payload}, 0, 0, 0, false {each}"
        ),
    ] {
        Stored::query_one(url, &sql).await;
    }
}

async fn sum(urls: &[String], sql: &str) -> i64 {
    let mut sum = 0;
    for url in urls {
        let text = format!("SELECT CAST(({sql}) AS text)");
        sum += Stored::query_one(url, &text).await[0].parse::<i64>().expect("a number");
    }
    sum
}

/// Whether this database has the account or post of this id.
async fn holds(url: &str, table: &str, id: i64) -> bool {
    sum(&[url.to_owned()], &format!("SELECT count(*) FROM {table} WHERE id = {id}")).await == 1
}

fn id(json: &serde_json::Value) -> i64 {
    json["id"].as_str().expect("an id").parse().expect("a number")
}

#[tokio::test]
async fn no_job_is_lost_or_done_twice_while_workers_are_killed_and_stalled() {
    let seed = std::env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let service = Service::new().await;
    let urls = service.databases();
    let mut server = service.serve().await;
    let mut people: Vec<Person> = Vec::new();
    for _ in 0..PEOPLE {
        people.push(server.person("liker").await);
    }
    // One of them on each database, so that half of the jobs write to the other one.
    let mut posts: Vec<Option<i64>> = vec![None; urls.len()];
    while let Some(at) = posts.iter().position(Option::is_none) {
        let author = server.person("author").await;
        let post = id(&author.post_photo("liked by many").await);
        if holds(&urls[at], "post", post).await {
            posts[at] = Some(post);
        }
    }
    let posts: Vec<i64> = posts.into_iter().flatten().collect();
    let left = async || sum(&urls, &format!("SELECT count(*) {JOBS}")).await;
    eventually("the likes that are no copies are written", TAKEN_OVER, async || {
        (left().await == 0).then_some(())
    })
    .await;
    server.terminate().await;

    let copies = jobs_each();
    // At least a hundred jobs a second.
    let patience = Duration::from_secs(60 + (PEOPLE * copies) as u64 / 100);
    for (url, post) in urls.iter().zip(&posts) {
        copy_post(url, *post, copies).await;
    }
    for (number, person) in people.iter().enumerate() {
        let (person, post) = (person.id.parse().expect("a number"), posts[number % posts.len()]);
        for url in &urls {
            if holds(url, "account", person).await {
                like_copies(url, person, number, post, copies).await;
            }
        }
    }
    let jobs = (PEOPLE * copies) as i64;
    assert_eq!(left().await, jobs);

    let before = sum(&urls, DELETED).await;
    let done = async || {
        // A look takes a new connection to each database.
        tokio::time::sleep(LOOK).await;
        sum(&urls, DELETED).await - before
    };
    let settings = || {
        let setup = service.setup().set("TRIPOD_QUEUE__LEASE_SECONDS", LEASE_SECONDS);
        setup.set("TRIPOD_QUEUE__WORKERS", AT_ONCE)
    };
    let start = || Worker::start(settings());
    let mut workers: Vec<Worker> = (0..WORKERS).map(|_| start()).collect();
    let (begun, mut stalled) = (Instant::now(), Vec::new());
    for fault in 1..=FAULTS {
        let until = jobs * fault / (FAULTS + 1);
        eventually("jobs are done", patience, async || (done().await >= until).then_some(())).await;
        println!("{until} of {jobs} jobs are done after {:?}", begun.elapsed());
        let worker = workers.swap_remove(rng.random_range(0..workers.len()));
        // Every other one is stalled; one that is dropped is killed.
        if fault % 2 == 0 {
            worker.signal("STOP");
            stalled.push(worker);
        }
        workers.push(start());
    }
    eventually("most jobs are done", patience, async || (done().await >= jobs - 10 * FEW).then_some(()))
        .await;
    eventually("few jobs are left", patience, async || (left().await <= FEW).then_some(())).await;
    workers.clear();
    let orphans = sum(&urls, &format!("SELECT count(*) {JOBS} AND leased")).await;
    let begun = Instant::now();
    let last = start();
    eventually("the jobs of dead workers are done", TAKEN_OVER, async || (left().await == 0).then_some(()))
        .await;
    println!("{orphans} jobs of killed workers were done after {:?}", begun.elapsed());

    // The stalled ones wake up when others have done their jobs, in the midst of what they did.
    println!("{} workers were stalled", stalled.len());
    stalled.push(last);
    for worker in &mut stalled {
        worker.signal("CONT");
        worker.signal("TERM");
        worker.ended().await;
    }
    let inverse = "SELECT count(*) FROM tripod_edge WHERE kind = 'like' AND direction = 1 AND live";
    assert_eq!(sum(&urls, inverse).await, jobs, "likes are lost");
    let counted =
        "SELECT coalesce(sum(count), 0) FROM tripod_edge_count WHERE kind = 'like' AND direction = 1";
    assert_eq!(sum(&urls, counted).await, jobs, "likes are lost, or counted twice");
    assert_eq!(left().await, 0);
    let wrong = "SELECT count(*) FROM (\
                   SELECT near_id, count(*) FROM tripod_edge WHERE kind = 'like' AND direction = 1 AND live \
                   GROUP BY near_id EXCEPT \
                   SELECT near_id, count FROM tripod_edge_count WHERE kind = 'like' AND direction = 1) AS wrong";
    assert_eq!(sum(&urls, wrong).await, 0, "counts differ from their likes");
}
