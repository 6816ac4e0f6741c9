//! Enqueues jobs with apalis-postgres, each durable before the next of its client, and runs them all.
//!
//! `apalis-peer URL JOBS CLIENTS BATCH` prints how many seconds enqueuing took, and running.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use apalis::prelude::*;
use apalis_postgres::{Config, PostgresStorage, queries::push_tasks};
use sqlx::postgres::PgPoolOptions;

const QUEUE: &str = "bench";

/// As many connections as the other side has.
const CONNECTIONS: u32 = 16;

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, jobs, clients, batch] = arguments.as_slice() else {
        anyhow::bail!("usage: apalis-peer URL JOBS CLIENTS BATCH");
    };
    let (jobs, clients, batch) = (jobs.parse::<usize>()?, clients.parse::<usize>()?, batch.parse::<usize>()?);
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await.context("PostgreSQL")?;
    PostgresStorage::setup(&pool).await?;

    let (begun, next) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let producers: Vec<_> = (0..clients)
        .map(|_| {
            let (pool, next) = (pool.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= jobs {
                        return anyhow::Ok(());
                    }
                    let task = TaskBuilder::new(job.to_string().into_bytes()).build();
                    push_tasks(&mut *pool.acquire().await?, QUEUE, vec![task]).await?;
                }
            })
        })
        .collect();
    for producer in producers {
        producer.await??;
    }
    let enqueued = begun.elapsed();

    let config = Config::default().queue(QUEUE).batch_size(batch).lock_tasks(false);
    let backend =
        PostgresStorage::new(&pool).with_config(config).poll_with_interval(Duration::from_millis(10));
    let run = Arc::new(AtomicUsize::new(0));
    let worker =
        WorkerBuilder::new("bench").backend(backend).data(run.clone()).parallelize(tokio::spawn).build(count);
    let begun = Instant::now();
    let working = tokio::spawn(worker.run());
    // A job is done when that is durable.
    let done = "SELECT count(*) FROM apalis.jobs WHERE status = 'Done'";
    while sqlx::query_scalar::<_, i64>(done).fetch_one(&pool).await? < i64::try_from(jobs)? {
        ensure!(!working.is_finished(), "the worker has ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ran = begun.elapsed();
    ensure!(run.load(Ordering::Relaxed) == jobs, "{} runs of {jobs} jobs", run.load(Ordering::Relaxed));
    println!("{} {}", enqueued.as_secs_f64(), ran.as_secs_f64());
    Ok(())
}

async fn count(_: usize, run: Data<Arc<AtomicUsize>>) -> Result<(), BoxDynError> {
    run.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
