//! Durable likes a second over the HTTP API: every request is a like that did not exist, with the bearer token
//! of its account, and counts once its reply has arrived. Spread over many posts, and all on one post.
//!
//! The client is one thread, which shares the cores with the service and its stores. On servers, PostgreSQL has
//! its production settings: a commit is durable. At the end SQL compares every count with the edges.

mod crowd;
mod report;

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use crowd::Databases;
use futures::future::try_join_all;
use report::{Bar, Report, has_argument, median, ms, percentile, progress};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod_tests::servers::{Postgres, Redis};
use tripod_tests::{Pairing, Server, Setup};

/// Every account likes a post at most once, so this is the size of a round, too.
const ACCOUNTS: usize = 20_000;
const POSTS: usize = 100;
const CONNECTIONS: [usize; 2] = [64, 256];
const ROUNDS: usize = 3;
/// Instagram's rate of 2013.
const BAR: f64 = 10_000.0;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let mut report = Report::new();
    match Pairing::of_this_run() {
        Pairing::Embedded => {
            let stores = Stores::embedded().await?;
            run(&stores, "embedded", ACCOUNTS / 4, None, &mut report).await?;
        }
        Pairing::Servers => {
            let stores = Stores::on_servers(1).await?;
            run(&stores, "PostgreSQL and Redis", ACCOUNTS, Some(BAR), &mut report).await?;
            drop(stores);
            let stores = Stores::on_servers(2).await?;
            run(&stores, "two databases and Redis", ACCOUNTS, None, &mut report).await?;
        }
    }
    report.note(format!(
        "{POSTS} posts, each round a like of every account; the middle of {ROUNDS} rounds; every count equals \
         its edges at both ends"
    ));
    report.print();
    Ok(())
}

/// A service and what it stands on.
struct Stores {
    server: Server,
    databases: Databases,
    _postgres: Option<(Postgres, Redis)>,
    _scratch: tempfile::TempDir,
}

impl Stores {
    async fn embedded() -> Result<Self> {
        let server = Server::start().await;
        let files = ["shard-0.db", "shard-1.db"].map(|name| server.data().join(name));
        let urls: Vec<String> = files.iter().map(|file| sqlite(file)).collect();
        let databases = Databases::open(&urls).await?;
        Ok(Self { server, databases, _postgres: None, _scratch: tempfile::tempdir()? })
    }

    /// On databases of one PostgreSQL server, and Redis.
    async fn on_servers(databases: usize) -> Result<Self> {
        let (postgres, redis) = (Postgres::start().await, Redis::start().await);
        let mut urls = Vec::new();
        for number in 0..databases {
            postgres.query("postgres", &format!("CREATE DATABASE likes{number}")).await;
            urls.push(postgres.url(&format!("likes{number}")));
        }
        let scratch = tempfile::tempdir()?;
        let setup = || {
            Setup::default()
                .set("TRIPOD_DATABASES", urls.join(","))
                .set("TRIPOD_REDIS", redis.url())
                .set("TRIPOD_MEDIA", scratch.path().join("media").display())
        };
        let migrated = setup().run(scratch.path(), &["migrate"]).await;
        ensure!(migrated.status.success(), "migrate: {migrated:?}");
        let server = setup().start().await;
        let databases = Databases::open(&urls).await?;
        Ok(Self { server, databases, _postgres: Some((postgres, redis)), _scratch: scratch })
    }
}

fn sqlite(file: &Path) -> String {
    format!("sqlite://{}?mode=rw", file.display())
}

/// What a round of likes took.
struct Round {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
}

async fn run(
    stores: &Stores,
    name: &str,
    accounts: usize,
    bar: Option<f64>,
    report: &mut Report,
) -> Result<()> {
    let Stores { server, databases, .. } = stores;
    progress(&format!("{name}: {accounts} accounts and {POSTS} posts"));
    let author = server.person("author").await;
    let mut posts = Vec::new();
    for _ in 0..POSTS {
        let post = author.post_photo("liked by many").await;
        posts.push(post["id"].as_str().context("a post has an id")?.to_owned());
    }
    let tokens: Rc<[String]> = databases.add_copies(&author, accounts as i64).await?.into();

    // In each round every account likes one post that it does not like yet. Hot posts are not liked otherwise.
    let hot_rounds = (ROUNDS + 1) * CONNECTIONS.len();
    let (hot, spread) = posts.split_at(hot_rounds);
    let (mut next_hot, mut shift, mut likes) = (hot.iter(), 0, 0_u64);
    for connections in CONNECTIONS {
        for is_hot in [false, true] {
            let mut rounds = Vec::new();
            for round in 0..=ROUNDS {
                let targets: Rc<[String]> = match is_hot {
                    true => {
                        vec![next_hot.next().context("a hot post for each round")?.clone(); accounts].into()
                    }
                    false => (0..accounts).map(|n| spread[(n + shift) % spread.len()].clone()).collect(),
                };
                shift += 1;
                let took = like_all(server.address(), connections, &tokens, &targets).await?;
                likes += accounts as u64;
                progress(&format!(
                    "{}, {connections} connections: {:.0} likes/s, p50 {:.1} ms, p99 {:.1} ms",
                    if is_hot { "one post" } else { "spread" },
                    took.rate,
                    took.p50_ms,
                    took.p99_ms
                ));
                // The first warms up.
                if round > 0 {
                    rounds.push(took);
                }
            }
            let what = if is_hot { "all on one post" } else { "spread" };
            let figure = format!("likes, {name}, {what}, {connections} connections");
            let of = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
            let bar = bar.map(Bar::ValueAtLeast);
            report.alone(format!("{figure}, rate"), of(|round| round.rate), "likes/s", bar);
            report.alone(format!("{figure}, p50"), of(|round| round.p50_ms), "ms", None);
            report.alone(format!("{figure}, p99"), of(|round| round.p99_ms), "ms", None);
            if has_argument("--quick") {
                break;
            }
        }
    }
    check(databases, likes).await?;
    let seen = author.get(&format!("/posts/{}", hot[0])).await.expect(200)["counts"]["likes"].clone();
    ensure!(has_argument("--quick") || seen == accounts, "a post liked by all has {seen} likes");
    Ok(())
}

/// Every count is exact at both ends, and no job is left.
async fn check(databases: &Databases, likes: u64) -> Result<()> {
    let edges = |direction: u8| {
        format!(
            "SELECT CAST(COUNT(*) AS BIGINT) FROM tripod_edge WHERE kind = 'like' AND live AND direction = {direction}"
        )
    };
    let counts = |direction: u8| {
        format!(
            "SELECT CAST(COALESCE(SUM(count), 0) AS BIGINT) FROM tripod_edge_count \
             WHERE kind = 'like' AND direction = {direction}"
        )
    };
    for sql in [edges(0), edges(1), counts(0), counts(1)] {
        let found = databases.sum(&sql).await?;
        ensure!(found as u64 == likes, "{found} instead of {likes}: {sql}");
    }
    let drift = "SELECT CAST(COUNT(*) AS BIGINT) FROM tripod_edge_count c WHERE c.count <> \
        (SELECT COUNT(*) FROM tripod_edge e WHERE e.near_id = c.near_id AND e.kind = c.kind \
         AND e.direction = c.direction AND e.live)";
    let drifted = databases.sum(drift).await?;
    ensure!(drifted == 0, "{drifted} counts are wrong");
    Ok(())
}

/// Likes the post at each account's place, on so many connections.
async fn like_all(
    address: &str,
    connections: usize,
    tokens: &Rc<[String]>,
    posts: &Rc<[String]>,
) -> Result<Round> {
    let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
    let (next, start) = (Rc::new(Cell::new(0)), Instant::now());
    let likers = streams.into_iter().map(|stream| like(stream, next.clone(), tokens.clone(), posts.clone()));
    let latencies = try_join_all(likers).await?.concat();
    let took: Duration = start.elapsed();
    Ok(Round {
        rate: latencies.len() as f64 / took.as_secs_f64(),
        p50_ms: median(&latencies),
        p99_ms: percentile(&latencies, 99),
    })
}

async fn like(
    mut stream: TcpStream,
    next: Rc<Cell<usize>>,
    tokens: Rc<[String]>,
    posts: Rc<[String]>,
) -> Result<Vec<f64>> {
    stream.set_nodelay(true)?;
    let (mut latencies, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let at = next.get();
        if at == tokens.len() {
            return Ok(latencies);
        }
        next.set(at + 1);
        let (token, post) = (&tokens[at], &posts[at]);
        let request = format!(
            "PUT /api/v1/posts/{post}/like HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
             content-length: 0\r\n\r\n"
        );
        let start = Instant::now();
        stream.write_all(request.as_bytes()).await?;
        let mut filled = 0;
        // A reply of success has no body.
        while !buffer[..filled].ends_with(b"\r\n\r\n") {
            let read = stream.read(&mut buffer[filled..]).await?;
            filled += read;
            let text = String::from_utf8_lossy(&buffer[..filled.min(200)]);
            ensure!(read > 0 && text.starts_with("HTTP/1.1 204 "), "not a reply of success: {text}");
        }
        latencies.push(ms(start.elapsed()));
    }
}
