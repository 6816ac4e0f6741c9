//! What visibility costs: the home feed of a reader with 500 blocks, 500 mutes and 20 private authors, beside
//! that of a reader with none of them; a page behind 10,000 hidden comments; and whether the time of a reply
//! tells a hidden post from one that does not exist.
//!
//! The two readers follow authors of their own, who post alike. Both feeds are warm and are read over HTTP
//! keep-alive from one server, in turn.

mod keep_alive;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use keep_alive::Round;
use report::{Bar, Report, median, ms, percentile, progress};
use serde_json::json;
use tripod_tests::{Person, Server, eventually};

const AUTHORS: usize = 20;
const BLOCKS_AND_MUTES: usize = 500;
const HIDDEN: usize = 10_000;
const CONNECTIONS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);
/// Replies of each kind whose time is compared.
const TIMED: usize = 3_000;
/// Requests that prepare the measurement, at once.
const AT_ONCE: usize = 16;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let server = Server::start().await;
    let mut report = Report::new();
    feeds(&server, &mut report).await?;
    hidden_comments(&server, &mut report).await?;
    hidden_or_missing(&server, &mut report).await?;
    report.print();
    Ok(())
}

/// A reader of 20 authors with a post each.
async fn reader(server: &Server, are_private: bool) -> Result<Person> {
    let reader = server.person("reader").await;
    for number in 1..=AUTHORS {
        let author = server.person("author").await;
        reader.follow(&author).await;
        author.post_photo(&format!("Photo {number:02}, seen from the harbour at noon.")).await;
        if are_private {
            author.patch("/me", &json!({"is_private": true})).await.expect(200);
        }
    }
    eventually("every post has arrived in the feed", Duration::from_secs(30), async || {
        (reader.feed().await.len() == AUTHORS).then_some(())
    })
    .await;
    Ok(reader)
}

async fn feeds(server: &Server, report: &mut Report) -> Result<()> {
    progress("filling two feeds, and blocking and muting 500 people");
    let (plain, wary) = (reader(server, false).await?, reader(server, true).await?);
    stream::iter(0..BLOCKS_AND_MUTES)
        .map(async |_| {
            let person = server.person("other").await;
            for relation in ["block", "mute"] {
                wary.put(&format!("/users/{}/{relation}", person.id)).await.expect(204);
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<()>()
        .await;
    let mut rounds: [Vec<Round>; 2] = Default::default();
    for round in 0..=ROUNDS {
        for (person, rounds) in [&plain, &wary].into_iter().zip(&mut rounds) {
            let page = person.get("/feed?limit=20").await;
            ensure!(page.json["items"].as_array().map_or(0, Vec::len) == AUTHORS, "the feed is not full");
            let (token, length) = (person.token().unwrap_or_default(), page.bytes.len());
            let request = format!(
                "GET /api/v1/feed?limit=20 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            let asked =
                Round::run(server.address(), request.as_bytes(), CONNECTIONS, ROUND, length..=length).await?;
            // The first round warms up.
            if round > 0 {
                rounds.push(asked);
            }
        }
        progress(&format!("round {round} of {ROUNDS}"));
    }
    let time = |rounds: &[Round]| rounds.iter().map(|round| 1_000.0 / round.rate).collect::<Vec<f64>>();
    let (with, without) = (time(&rounds[1]), time(&rounds[0]));
    let name = "time of a feed read with 500 blocks, 500 mutes and 20 private authors";
    report.rounds(name, (&with, "ms"), ("none of them", &without), Some(Bar::RatioAtMost(1.1)));
    let p99 = |rounds: &[Round]| rounds.iter().map(|round| round.p99_ms).collect::<Vec<f64>>();
    let (with, without) = (p99(&rounds[1]), p99(&rounds[0]));
    report.rounds("p99 of the same", (&with, "ms"), ("none of them", &without), None);
    Ok(())
}

/// A stranger asks for a private account's post and for an id that belongs to nothing, in turn.
async fn hidden_or_missing(server: &Server, report: &mut Report) -> Result<()> {
    progress("asking for hidden and for missing posts");
    let (author, stranger) = (server.person("author").await, server.person("stranger").await);
    let hidden = author.post_photo("hidden").await["id"].as_str().unwrap_or_default().to_owned();
    author.patch("/me", &json!({"is_private": true})).await.expect(200);
    // The same millisecond on the same shard.
    let missing = (hidden.parse::<i64>()? + 1).to_string();
    let mut times: [Vec<f64>; 2] = Default::default();
    for round in 0..TIMED + TIMED / 10 {
        for (id, times) in [&hidden, &missing].into_iter().zip(&mut times) {
            let begun = Instant::now();
            let reply = stranger.get(&format!("/posts/{id}")).await;
            ensure!(reply.status == 404, "{} instead of 404", reply.status);
            // The first of them warm up.
            if round >= TIMED / 10 {
                times.push(ms(begun.elapsed()));
            }
        }
    }
    let [hidden, missing] = times;
    let slower = |time: &f64| {
        let slower = missing.iter().filter(|other| time > other).count();
        let equal = missing.iter().filter(|other| time == *other).count();
        slower as f64 + equal as f64 / 2.0
    };
    let auc = hidden.iter().map(slower).sum::<f64>() / (hidden.len() * missing.len()) as f64;
    report.alone("hidden or missing, by the time of the reply", auc, "AUC", Some(Bar::ValueAtMost(0.55)));
    report.note(format!("{:.3} and {:.3} ms in the middle", median(&hidden), median(&missing)));
    Ok(())
}

/// A post whose newest comments are all by a person who blocks the viewer.
async fn hidden_comments(server: &Server, report: &mut Report) -> Result<()> {
    progress("writing 10,000 comments");
    let (author, hidden) = (server.person("author").await, server.person("hidden").await);
    let viewer = server.person("viewer").await;
    let post = author.post_photo("much discussed").await;
    author.comment(&post, "the first").await;
    let path = format!("/posts/{}/comments", post["id"].as_str().unwrap_or_default());
    stream::iter(0..HIDDEN)
        .map(async |n| {
            let reply = hidden.post(&path, &json!({"text": format!("comment {n}")})).await;
            if reply.status == 201 { Ok(()) } else { Err(anyhow::anyhow!("a comment got {}", reply.status)) }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    hidden.put(&format!("/users/{}/block", viewer.id)).await.expect(204);
    let (mut times, mut pages) = (Vec::new(), 0);
    for round in 0..20 {
        let mut cursor = String::new();
        let mut found = 0;
        pages = 0;
        loop {
            let begun = Instant::now();
            let page = viewer.get(&format!("{path}?limit=20{cursor}")).await.expect(200);
            if round > 0 {
                times.push(ms(begun.elapsed()));
            }
            pages += 1;
            found += page["items"].as_array().map_or(0, Vec::len);
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ensure!(found == 1, "{found} comments are visible");
    }
    let slowest = percentile(&times, 100);
    report.alone("slowest page behind 10,000 hidden comments", slowest, "ms", Some(Bar::ValueAtMost(100.0)));
    report.note(format!("{pages} pages lead to the visible comment, {:.1} ms in the middle", median(&times)));
    Ok(())
}
