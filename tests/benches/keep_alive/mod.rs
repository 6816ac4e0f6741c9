//! Load over HTTP keep-alive: one request at a time on each of some connections, all from one
//! thread, so that the client takes as little as it can of the cores that it shares.

#![allow(dead_code, reason = "each bench is a crate of its own and uses its part of this")]

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::report::{median, percentile};

/// What so many connections, one request at a time each, got in a stretch of time.
pub struct Round {
    pub rate: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Round {
    /// Asks on so many connections for so long; every reply must be one of success, of as
    /// many bytes as `lengths` allows.
    pub async fn run(
        address: &str,
        request: &[u8],
        connections: usize,
        time: Duration,
        lengths: RangeInclusive<usize>,
    ) -> Result<Self> {
        let streams = try_join_all((0..connections).map(|_| TcpStream::connect(address))).await?;
        let start = Instant::now();
        let asking = streams.into_iter().map(|stream| ask(stream, request, start + time, &lengths));
        let latencies = try_join_all(asking).await?.concat();
        ensure!(!latencies.is_empty(), "there was no reply within {time:?}");
        Ok(Self {
            rate: latencies.len() as f64 / start.elapsed().as_secs_f64(),
            p50_ms: median(&latencies),
            p99_ms: percentile(&latencies, 99),
        })
    }
}

/// Asks again and again until `end`, and gives how long each reply took, in milliseconds.
async fn ask(
    mut stream: TcpStream,
    request: &[u8],
    end: Instant,
    lengths: &RangeInclusive<usize>,
) -> Result<Vec<f64>> {
    stream.set_nodelay(true)?;
    let (mut latencies, mut buffer) = (Vec::new(), vec![0; 1 << 18]);
    loop {
        let start = Instant::now();
        if start >= end {
            return Ok(latencies);
        }
        stream.write_all(request).await?;
        let (mut filled, mut whole) = (0, None);
        while whole.is_none_or(|whole| filled < whole) {
            let read = stream.read(&mut buffer[filled..]).await?;
            ensure!(read > 0, "the server closed the connection or its reply is too large");
            filled += read;
            if whole.is_none() {
                whole = reply_bytes(&buffer[..filled], lengths)?;
            }
        }
        latencies.push(super::report::ms(start.elapsed()));
    }
}

/// The length of the reply whose beginning this is, once its head is complete.
fn reply_bytes(reply: &[u8], lengths: &RangeInclusive<usize>) -> Result<Option<usize>> {
    let Some(head) = reply.windows(4).position(|end| end == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&reply[..head])?.to_ascii_lowercase();
    ensure!(text.starts_with("http/1.1 200 "), "not a reply of success: {text}");
    let length = text.split("\r\ncontent-length: ").nth(1).and_then(|rest| rest.lines().next());
    let length = length.context("a reply without a length")?.parse()?;
    ensure!(lengths.contains(&length), "not {lengths:?} bytes: {text}");
    Ok(Some(head + 4 + length))
}
