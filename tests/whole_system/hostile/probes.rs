//! What needs no session: probes, metrics, files, documents and unknown addresses.

use std::collections::HashSet;

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

#[tokio::test]
async fn readiness_is_looked_up_once_a_second_however_many_ask() {
    // Each look at a media directory writes a file.
    let server = Setup::embedded().start().await;
    let incoming = server.data().join("media/incoming");
    let mut looks = HashSet::new();
    let (begun, mut asked) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        join_all((0..10).map(async |_| server.api().get("~/readyz").await.expect(200))).await;
        looks.insert(incoming.metadata().expect("a directory").modified().expect("a time"));
        asked += 10;
    }
    println!("{asked} probes in 2 s: {} looks at most", looks.len());
    // A file is created and removed, so that a look may be seen twice.
    assert!(asked > 50 && looks.len() <= 8, "{asked} probes, {} looks", looks.len());
}

#[tokio::test]
async fn loops_are_told_when_to_come_back_wherever_they_ask() {
    let server = limited().await;
    // All of these count against one limit, which a client that waits for each reply might not reach.
    let (mut from, mut to) = TcpStream::connect(server.address()).await.expect("a connection").into_split();
    let asking = tokio::spawn(async move {
        for _ in 0..200 {
            to.write_all("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n".repeat(100).as_bytes()).await?;
        }
        std::io::Result::Ok(())
    });
    let (mut replies, mut asked) = (vec![0; 64 * 1024], 0);
    loop {
        let read = from.read(&mut replies).await.expect("replies");
        assert!(read > 0, "the connection ended without a refusal");
        let text = String::from_utf8_lossy(&replies[..read]);
        asked += text.matches("HTTP/1.1").count();
        if text.contains("429 Too Many Requests") {
            break;
        }
    }
    asking.abort();
    println!("refused after {asked} requests");
    for path in ["~/healthz", "~/readyz", "~/metrics", "~/media/x.jpg", "~/openapi.json", "~/nothing/here"] {
        let replies = join_all((0..100).map(async |_| server.api().get(path).await)).await;
        let refused = replies.iter().find(|reply| reply.status == 429);
        let refused = refused.unwrap_or_else(|| panic!("{path} is not limited"));
        assert!(!refused.header("retry-after").is_empty());
        assert_ne!(elsewhere(&server).get(path).await.status, 429, "{path} elsewhere");
    }
}
