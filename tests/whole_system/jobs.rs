//! The role `jobs`: what an operator sees of the queue, and does about it.

use std::time::Duration;

use tripod_tests::{Setup, Stored, eventually};

/// A row of the queue.
fn row(id: i64, name: &str, run_at_ms: i64, attempt: u32, dead: bool) -> String {
    let error = if dead { "'the disk is full'" } else { "NULL" };
    format!(
        "INSERT INTO tripod_job (id, name, payload, run_at_ms, wait_ms, attempt, dead, last_error) \
         VALUES ({id}, '{name}', '{{}}', {run_at_ms}, {run_at_ms}, {attempt}, {dead}, {error})"
    )
}

#[tokio::test]
async fn jobs_are_listed_with_their_lanes_ages_times_and_attempts_and_retried_together() {
    let place = tempfile::tempdir().unwrap();
    let setup = || Setup::embedded();
    let run = async |arguments: &[&str]| setup().run(place.path(), arguments).await;
    assert!(run(&["migrate"]).await.status.success());
    let data = place.path().join("data");
    // Enqueued at the first millisecond of 2025, on the first two shards.
    let (waiting, dead) = (77, 1 << 10);
    let never = i64::MAX / 2;
    Stored::execute(&data, 0, &row(waiting, "erase_account", never, 2, false)).await;
    Stored::execute(&data, 0, &row(dead, "tripod.fan_out", 0, 21, true)).await;
    let listed = run(&["jobs"]).await;
    let line = |id: i64| {
        let of = format!("  {id}  ");
        let line = listed.stdout.lines().find(|line| line.contains(&of));
        line.unwrap_or_else(|| panic!("{id} is not in {listed:?}")).to_owned()
    };
    for part in ["waiting", "erase_account", "lane default", " d  due in ", "attempts 2"] {
        assert!(line(waiting).contains(part), "{part:?} is not in {}", line(waiting));
    }
    let lane = "lane default  waiting 1  running 0  oldest ";
    assert!(listed.stdout.starts_with(lane) && listed.stdout.contains(" d  dead 1\n"), "{listed:?}");
    for part in ["dead", "tripod.fan_out", "attempts 21", "{}: the disk is full"] {
        assert!(line(dead).contains(part), "{part:?} is not in {}", line(dead));
    }

    let refused = run(&["jobs", "retry"]).await;
    assert!(!refused.status.success(), "nothing was named: {refused:?}");
    assert!(!run(&["jobs", "retry", "12345"]).await.status.success());
    assert!(run(&["jobs", "retry", "--name", "erase_account"]).await.stdout.contains("jobs due now: 1"));
    assert!(run(&["jobs"]).await.stdout.contains("due for"));
    assert!(run(&["jobs", "retry", "--all"]).await.stdout.contains("jobs due now: 2"));
    assert!(!run(&["jobs"]).await.stdout.contains("dead"));
    assert!(run(&["jobs", "retry", "77", "1024"]).await.stdout.contains("jobs due now: 2"));
}

/// The clock ran a day ahead when the jobs that erase an account were leased. It is right again, and the jobs do
/// not wait for tomorrow.
#[tokio::test]
async fn the_photos_of_a_deleted_account_go_although_a_clock_ran_ahead() {
    const SOON: Duration = Duration::from_secs(40);
    let mut server = Setup::embedded().start().await;
    let queued = "SELECT name FROM tripod_job";
    let (url, left) = loop {
        let person = server.person("somebody").await;
        let post = person.post_photo("to be erased").await;
        let url = post["photos"][0]["url"].as_str().unwrap().to_owned();
        person.delete("/me").await.expect(204);
        server.kill_9();
        let left = Stored::query(server.data(), queued).await.len();
        if left > 0 {
            break (url, left);
        }
        server.restart().await;
    };
    for database in [0, 1] {
        let day_ahead = "UPDATE tripod_job SET run_at_ms = run_at_ms + 86400000";
        Stored::execute(server.data(), database, day_ahead).await;
    }
    server.restart().await;
    crate::gone(&server.api(), &url).await;
    eventually("every job is done", SOON, async || {
        Stored::query(server.data(), queued).await.is_empty().then_some(())
    })
    .await;
    println!("{left} jobs were a day ahead");
}
