//! Queues: jobs that wait for a store, times that a wrong clock set, and what operators do about them.

use std::time::Duration;

use super::queue::{Noted, done, execute, noted, stores};
use crate::id::Clock;
use crate::queue::JobState;
use crate::testing::{Backing, eventually};

/// A job that fails because a store is away is retried within seconds for as long as that lasts, and keeps its
/// attempts.
pub async fn a_job_waits_for_a_store_and_uses_up_no_attempt(backing: Backing) {
    const AWAY: usize = 9;
    let stores = stores(backing).await;
    let _worker = stores.work();
    let author = stores.author("kevin").await;
    let job = Noted { away_until: AWAY as u32 + 1, fail_until: AWAY as u32 + 2, ..noted("waits") };
    stores.enqueue(author, job.clone()).await.unwrap();
    for attempts in 1..=AWAY {
        eventually("another attempt", async || (done(&job.word).len() == attempts).then_some(())).await;
        let listed = eventually("the attempt is recorded", async || {
            let listed = stores.queue.list(10).await.unwrap().pop()?;
            (listed.excused as usize == attempts).then_some(listed)
        })
        .await;
        assert_eq!((listed.state, listed.attempts), (JobState::Waiting, 0));
        assert!(listed.last_error.unwrap().contains("the store is away"));
        assert!(listed.due_in_ms <= 7_500, "it waits for {} ms", listed.due_in_ms);
        stores.clock.advance(Duration::from_millis(7_500));
    }
    // It fails once for another reason, and is then done: the attempts before did not count.
    eventually("the job is done", async || {
        stores.clock.advance(Duration::from_millis(500));
        assert!(
            stores.queue.dead().await.unwrap().is_empty(),
            "attempts that a store prevented were counted"
        );
        stores.queue.waiting().await.unwrap().is_empty().then_some(())
    })
    .await;
    assert_eq!(done(&job.word).len(), AWAY + 2);
}

/// Leases and due times that were set while the clock was a day ahead do not stop the queue for a day; a
/// delay that was asked for is kept.
pub async fn times_that_a_wrong_clock_set_are_void(backing: Backing) {
    let stores = stores(backing).await;
    let author = stores.author("kevin").await;
    let right = stores.clock.now_ms();
    let hour = Duration::from_secs(3_600);
    stores.clock.advance(24 * hour);
    let (leased, waiting) = (Noted { hang_at: Some(0), ..noted("leased") }, noted("waiting"));
    let ahead = stores.work();
    stores.enqueue(author, leased.clone()).await.unwrap();
    eventually("the job is leased", async || (done(&leased.word) == [0]).then_some(())).await;
    drop(ahead);
    stores.enqueue(author, waiting.clone()).await.unwrap();

    let corrected = Clock::manual(right);
    let second = stores.reopened_with_clock(corrected.clone(), |registry| registry.register::<Noted>()).await;
    let delayed = noted("delayed");
    let job = delayed.clone();
    let enqueued = second.shards.write(author, move |tx| async move { tx.enqueue_after(job, hour).await });
    enqueued.await.unwrap();
    let _worker = second.work();
    eventually("the leased job is taken over", async || (done(&leased.word).len() == 2).then_some(())).await;
    eventually("the waiting job runs", async || (done(&waiting.word) == [0]).then_some(())).await;
    eventually("only what is delayed waits", async || {
        (second.queue.waiting().await.unwrap().get("noted") == Some(&1)).then_some(())
    })
    .await;
    assert!(done(&delayed.word).is_empty(), "a delay was taken for a wrong time");
    corrected.advance(hour);
    second.idle().await;
    assert_eq!(done(&delayed.word), [0]);
}

/// An operator makes waiting and dead jobs due: one, those of a kind, or all. A job that runs stays as it is.
pub async fn an_operator_retries_jobs_one_by_one_and_together(backing: Backing) {
    let stores = stores(backing).await;
    let (author, other) = (stores.author("kevin").await, stores.author("mike").await);
    let worker = stores.work();
    let running = Noted { hang_at: Some(0), ..noted("running") };
    let running_id = stores.enqueue(author, running.clone()).await.unwrap();
    eventually("the job runs", async || (done(&running.word) == [0]).then_some(())).await;
    let state = async |id| {
        let listed = stores.queue.list(100).await.unwrap().into_iter().find(|job| job.id == id);
        listed.map(|job| (job.state, job.due_in_ms > 0, job.lane))
    };
    assert_eq!(state(running_id).await, Some((JobState::Running, true, Some("default"))));
    assert!(!stores.queue.retry(running_id).await.unwrap(), "a job that runs was made due");
    drop(worker);

    let hour = Duration::from_secs(3_600);
    let mut ids = Vec::new();
    for author in [author, other, author] {
        let delayed = noted("delayed");
        let id = stores.shards.write(author, move |tx| async move { tx.enqueue_after(delayed, hour).await });
        ids.push(id.await.unwrap());
    }
    assert_eq!(state(ids[0]).await, Some((JobState::Waiting, true, Some("default"))));
    assert!(stores.queue.retry(ids[0]).await.unwrap());
    assert_eq!(state(ids[0]).await, Some((JobState::Waiting, false, Some("default"))));
    assert_eq!(stores.queue.retry_all(Some("another")).await.unwrap(), 0);
    assert_eq!(stores.queue.retry_all(Some("noted")).await.unwrap(), 3, "the running job is not among them");
    execute(&stores, other, "UPDATE tripod_job SET dead = TRUE, attempt = 3 WHERE leased = FALSE").await;
    let dead = stores.queue.dead().await.unwrap();
    assert!(dead.iter().any(|job| job.id == ids[1] && job.attempts == 3), "{dead:?}");
    assert_eq!(stores.queue.retry_all(None).await.unwrap(), 3);
    assert_eq!(stores.queue.dead().await.unwrap().len(), 0);
    assert!(
        stores.queue.list(100).await.unwrap().iter().all(|job| job.attempts == 0 || job.id == running_id)
    );
}
