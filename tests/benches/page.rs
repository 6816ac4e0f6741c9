//! The home feed as HTML beside the same feed as JSON, and how much a browser loads to show it.
//!
//! Both are asked of the same server, in turns, by the same client over keep-alive, for the same
//! reader and the same 20 posts: the page by the session's cookie, the API by the bearer token.

mod full_feed;
mod keep_alive;
mod report;

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use full_feed::PAGE;
use keep_alive::Round;
use report::{Bar, Report, progress};
use tripod_tests::Server;

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    progress("starting the server and filling a feed");
    let server = Server::start().await;
    let reader = full_feed::fill(&server).await;
    let token = reader.token().unwrap_or_default();
    let head = |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{more}\r\n\r\n");
    let page = head("/", &format!("accept: text/html\r\ncookie: session={token}"));
    let json = head("/api/v1/feed?limit=20", &format!("authorization: Bearer {token}"));

    let client = reqwest::Client::new();
    let fetch = async |path: &str| -> Result<Vec<u8>> {
        let url = format!("http://{}{path}", server.address());
        let request =
            client.get(url).header("cookie", format!("session={token}")).header("accept", "text/html");
        Ok(request.send().await?.error_for_status()?.bytes().await?.to_vec())
    };
    let html = String::from_utf8(fetch("/").await?)?;
    let articles = html.matches("<article").count();
    ensure!(articles == PAGE, "the page has {articles} posts instead of {PAGE}");
    let feed_bytes = reader.get("/feed?limit=20").await.bytes.len();

    let ask = async |request: &str, lengths: &RangeInclusive<usize>| {
        Round::run(server.address(), request.as_bytes(), CONNECTIONS, ROUND, lengths.clone()).await
    };
    // A page says how long ago a post was made: "now" becomes "1 min" while this runs.
    let page_bytes = html.len() - 10 * PAGE..=html.len() + 10 * PAGE;
    let feed_bytes = feed_bytes..=feed_bytes;
    let (mut pages, mut feeds) = (Vec::new(), Vec::new());
    ask(&page, &page_bytes).await?;
    ask(&json, &feed_bytes).await?;
    for round in 1..=ROUNDS {
        pages.push(ask(&page, &page_bytes).await?.rate);
        feeds.push(ask(&json, &feed_bytes).await?.rate);
        progress(&format!("round {round} of {ROUNDS}: {:.0} pages/s", pages[round - 1]));
    }

    let mut report = Report::new();
    let against = ("the same feed as JSON", feeds.as_slice());
    report.rounds("page rate, 16 at once", (&pages, "requests/s"), against, Some(Bar::RatioAtLeast(0.6)));
    report.beside(
        "page, HTML",
        (html.len() as f64 / 1e3, "kB"),
        ("the feed as JSON", *feed_bytes.end() as f64 / 1e3),
        None,
    );
    for (name, extension) in [("page, CSS", ".css\""), ("page, scripts", ".js\"")] {
        let mut bytes = 0;
        for path in linked(&html, extension) {
            bytes += fetch(path).await?.len();
        }
        ensure!(bytes > 0, "the page links to no file that ends in {extension}");
        report.alone(name, bytes as f64 / 1e3, "kB", None);
    }
    let first = html.split("srcset=\"").nth(1).and_then(|rest| rest.split('"').next());
    for size in first.context("the page shows no photo")?.split(", ") {
        let (path, width) = size.split_once(' ').context("a size without its width")?;
        let bytes = fetch(path).await?.len();
        report.alone(format!("page, the first screen's photo, {width}"), bytes as f64 / 1e3, "kB", None);
    }
    report.note(format!("{PAGE} posts, not compressed; the middle of {ROUNDS} rounds"));
    report.print();
    Ok(())
}

/// The files that a page loads whose names end so, without the quote.
fn linked<'h>(html: &'h str, end: &str) -> Vec<&'h str> {
    let paths = html.match_indices("\"/assets/").map(|(at, _)| &html[at + 1..]);
    paths
        .filter_map(|rest| rest.split_inclusive('"').next())
        .filter_map(|path| path.strip_suffix('"').filter(|_| path.ends_with(end)))
        .collect()
}
