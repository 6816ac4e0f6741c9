//! The role `jobs`: lists the queue's jobs, makes them due, and deletes dead ones.

use std::fmt::Write;

use super::role::Jobs;
use crate::error::{Error, Result};
use crate::queue::{JobId, JobState, ListedJob, ListedLane, Queue};

/// Jobs listed per database, of those that are due first and of those that are dead.
const LISTED: u32 = 200;

/// The queue's jobs as text: a line for each lane, one for each kind that waits or runs, and one for each job.
pub(super) async fn list(queue: &Queue) -> Result<String> {
    let mut text = String::new();
    let mut jobs = queue.list(LISTED).await?;
    jobs.sort_by_key(|job| (job.state == JobState::Dead, job.due_in_ms));
    for (lane, held) in queue.lanes().await? {
        let ListedLane { waiting, running, dead, age_ms } = held;
        let _ = write!(text, "lane {}  waiting {waiting}  running {running}", lane_name(lane));
        if let Some(age_ms) = age_ms {
            let _ = write!(text, "  oldest {}", duration(age_ms));
        }
        let _ = if dead > 0 { writeln!(text, "  dead {dead}") } else { writeln!(text) };
    }
    for (name, count) in queue.waiting().await? {
        let _ = writeln!(text, "waiting or running  {count}  {name}");
    }
    jobs.iter().for_each(|job| text.push_str(&line(job)));
    if text.is_empty() {
        text.push_str("no job is waiting or running, and none is dead\n");
    }
    Ok(text)
}

/// A lane's name; jobs that this program does not know have none.
fn lane_name(lane: Option<&'static str>) -> &'static str {
    lane.unwrap_or("(unknown here)")
}

fn line(job: &ListedJob) -> String {
    let lane = lane_name(job.lane);
    let (state, due) = match job.state {
        JobState::Waiting if job.due_in_ms > 0 => ("waiting", format!("due in {}", duration(job.due_in_ms))),
        JobState::Waiting => ("waiting", format!("due for {}", duration(-job.due_in_ms))),
        JobState::Running => ("running", format!("leased for {}", duration(job.due_in_ms))),
        JobState::Dead => ("dead", "put aside".to_owned()),
    };
    let mut text = format!(
        "{state}  {}  {}  lane {lane}  age {}  {due}  attempts {}",
        job.id,
        job.name,
        duration(job.age_ms),
        job.attempts
    );
    if job.excused > 0 {
        let _ = write!(text, " and {} while a store was away or before a retry", job.excused);
    }
    let why =
        job.last_error.as_deref().or((job.state == JobState::Dead).then_some("its process ended each time"));
    let _ = match why {
        Some(why) => writeln!(text, "  {}: {why}", job.payload),
        None => writeln!(text, "  {}", job.payload),
    };
    text
}

/// A duration in its largest unit, such as `5 min`.
fn duration(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// Changes jobs, and says how many.
pub(super) async fn change(queue: &Queue, act: Jobs) -> Result<String> {
    match act {
        Jobs::Retry { ids, name, .. } if ids.is_empty() => {
            let retried = queue.retry_all(name.as_deref()).await?;
            Ok(format!("jobs due now: {retried}\n"))
        }
        Jobs::Retry { ids, .. } => {
            for id in &ids {
                if !queue.retry(JobId::from_raw(*id)).await? {
                    return Err(Error::invalid(format!(
                        "no waiting or dead job has the id {id}; `jobs` lists them"
                    )));
                }
            }
            Ok(format!("jobs due now: {}\n", ids.len()))
        }
        Jobs::Discard { id } => match queue.discard(JobId::from_raw(id)).await? {
            true => Ok("the job is deleted\n".to_owned()),
            false => Err(Error::invalid(format!("no dead job has the id {id}; `jobs` lists them"))),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_their_largest_unit() {
        for (ms, text) in
            [(-5, "0 s"), (119_999, "119 s"), (120_000, "2 min"), (7_200_000, "2 h"), (172_800_000, "2 d")]
        {
            assert_eq!(duration(ms), text);
        }
    }
}
