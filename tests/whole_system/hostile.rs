//! Clients that make the server hold as much as they can, from one address, with limits on. Others, at
//! another address, are served meanwhile, and memory stays bounded.

mod connections;
mod http2;
mod probes;
mod uploads;

use std::time::{Duration, Instant};

use tripod_tests::{Api, Person, Server, Setup, resident_bytes};

/// The address of the attackers, and that of everyone else.
const HOSTILE: &str = "127.0.0.1";
const ELSEWHERE: &str = "127.0.0.2";

/// By how much an attack may raise the resident memory.
const MOST_BYTES: u64 = 256 << 20;

async fn limited() -> Server {
    Setup::default().set("TRIPOD_LIMITS", "on").start().await
}

/// An honest client at another address.
fn elsewhere(server: &Server) -> Api {
    server.api().from_address(ELSEWHERE)
}

/// Reads the feed so many times; returns the second slowest of a hundred.
async fn feed_p99(person: &Person, reads: usize) -> Duration {
    let mut times = Vec::with_capacity(reads);
    for _ in 0..reads {
        let begun = Instant::now();
        person.get("/feed").await.expect(200);
        times.push(begun.elapsed());
    }
    times.sort();
    times[(reads * 99 / 100).min(reads - 1)]
}

/// The most memory that the server had in use while `attack` ran, above what it had before.
async fn growth<T>(server: &Server, attack: impl Future<Output = T>) -> (u64, T) {
    let before = resident_bytes(server.pid());
    let mut most = before;
    let mut attack = std::pin::pin!(attack);
    let done = loop {
        match tokio::time::timeout(Duration::from_millis(20), attack.as_mut()).await {
            Ok(done) => break done,
            Err(_) => most = most.max(resident_bytes(server.pid())),
        }
    };
    (most.max(resident_bytes(server.pid())) - before, done)
}

/// What an attack made the server hold, for people.
fn held(grown: u64, sent: usize) -> String {
    let per_byte = grown as f64 / sent.max(1) as f64;
    format!("{} MiB more for {sent} bytes sent, {per_byte:.1} for each", mib(grown))
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}
