//! The home feed: 20 posts, warm, over HTTP keep-alive on loopback, beside a bare axum route that
//! returns the same bytes.
//!
//! Both servers are child processes with tokio's default runtime and are not pinned: each has both
//! cores in its turn and shares them with the one thread that asks. The client is the same for
//! both: it writes a request, reads the reply to its end, and checks its status and its length.

mod full_feed;
mod keep_alive;
mod report;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use full_feed::{AUTHORS_OF_EACH_DATABASE, PAGE};
use keep_alive::Round;
use report::{Bar, Report, median, percentile, progress};
use tokio::net::TcpListener;
use tripod_tests::{Pairing, Server};

const CONNECTIONS: usize = 16;
const ROUNDS: usize = 9;
const ROUND: Duration = Duration::from_secs(2);
const PATH: &str = "/api/v1/feed?limit=20";
/// The argument that makes this program the bare server; the file with its bytes follows.
const BARE: &str = "--bare-route";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, file, ..] = arguments.as_slice()
        && flag == BARE
    {
        // The runtime that `#[tokio::main]` gives the app.
        return tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve_bare(file));
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    progress("starting the server and filling a feed");
    let server = Server::start().await;
    let reader = full_feed::fill(&server).await;
    let page = reader.get("/feed?limit=20").await;
    let items = page.json["items"].as_array().map_or(0, Vec::len);
    ensure!(page.status == 200 && items == PAGE, "the feed has {items} posts instead of {PAGE}");
    let bare = Bare::start(&page.bytes)?;

    let token = reader.token().unwrap_or_default();
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\r\n");
    let length = page.bytes.len();
    let ask = async |address: &str, connections: usize, time: Duration| {
        Round::run(address, request.as_bytes(), connections, time, length..=length).await
    };
    for address in [server.address(), &bare.address] {
        ask(address, CONNECTIONS, ROUND).await?;
    }
    let (mut feed, mut route, mut feed_alone, mut route_alone) = (vec![], vec![], vec![], vec![]);
    for round in 1..=ROUNDS {
        feed.push(ask(server.address(), CONNECTIONS, ROUND).await?);
        route.push(ask(&bare.address, CONNECTIONS, ROUND).await?);
        feed_alone.push(ask(server.address(), 1, ROUND / 4).await?);
        route_alone.push(ask(&bare.address, 1, ROUND / 4).await?);
        progress(&format!("round {round} of {ROUNDS}: {:.0} requests/s", feed[round - 1].rate));
    }

    let mut report = Report::new();
    let mut add = |name: &str, unit, ours: &[Round], bare: &[Round], bar, of: fn(&Round) -> f64| {
        let (ours, bare): (Vec<f64>, Vec<f64>) =
            (ours.iter().map(of).collect(), bare.iter().map(of).collect());
        report.rounds(name, (&ours, unit), ("a bare axum route", &bare), bar);
    };
    let at = |what: &str, connections| format!("feed read, {connections} at once, {what}");
    let bar = match Pairing::of_this_run() {
        Pairing::Embedded => Bar::RatioAtLeast(0.3),
        Pairing::Servers => Bar::RatioAtLeast(0.25),
    };
    add(&at("rate", CONNECTIONS), "requests/s", &feed, &route, Some(bar), |round| round.rate);
    add(&at("p50", CONNECTIONS), "ms", &feed, &route, None, |round| round.p50_ms);
    add(&at("p99", CONNECTIONS), "ms", &feed, &route, None, |round| round.p99_ms);
    add(&at("p50", 1), "ms", &feed_alone, &route_alone, None, |round| round.p50_ms);
    add(&at("p99", 1), "ms", &feed_alone, &route_alone, None, |round| round.p99_ms);
    report.note(format!(
        "{PAGE} posts of {} authors over both databases, {length} bytes; the middle of {ROUNDS} rounds",
        2 * AUTHORS_OF_EACH_DATABASE,
    ));
    let rates: Vec<f64> = feed.iter().map(|round| round.rate).collect();
    report.note(format!(
        "feed reads a second from {:.0} to {:.0}, {:.0} in the middle",
        percentile(&rates, 0),
        percentile(&rates, 100),
        median(&rates),
    ));
    report.print();
    Ok(())
}

/// This program once more, as the bare server.
struct Bare {
    child: Child,
    address: String,
    _bytes: tempfile::NamedTempFile,
}

impl Bare {
    fn start(body: &[u8]) -> Result<Self> {
        let bytes = tempfile::NamedTempFile::new()?;
        std::fs::write(bytes.path(), body)?;
        let this = std::env::current_exe()?;
        let mut child = Command::new(this).arg(BARE).arg(bytes.path()).stdout(Stdio::piped()).spawn()?;
        let printed = child.stdout.take().context("the bare server's output is piped")?;
        let mut bare = Self { child, address: String::new(), _bytes: bytes };
        if BufReader::new(printed).read_line(&mut bare.address)? == 0 {
            bail!("the bare server did not start");
        }
        bare.address.truncate(bare.address.trim_end().len());
        Ok(bare)
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn serve_bare(file: &str) -> Result<()> {
    let body = axum::body::Bytes::from(std::fs::read(file)?);
    let route = get(move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, axum::Router::new().route("/api/v1/feed", route)).await?;
    Ok(())
}
