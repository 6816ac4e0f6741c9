//! Clients that are too slow or silent: each is disconnected in time, with an error if it sent a
//! request.

use futures::future::join_all;

use super::http2::{PREFACE, get};
use super::*;

/// Sends a byte now and then until the server closes; returns the time and the reply.
async fn trickle(mut stream: TcpStream, start: &str) -> (Duration, String) {
    let begun = Instant::now();
    let _ = stream.write_all(start.as_bytes()).await;
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let mut bytes = Vec::new();
    let _ = read.read_to_end(&mut bytes).await;
    sending.abort();
    (begun.elapsed(), String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn connections_without_a_request_are_closed_whatever_they_sent() {
    let server = start(short()).await;
    let silent = ["", "G", "PRI * HTT", "GET / HTTP/1.1\r\nhost: a\r\n", PREFACE];
    join_all(silent.map(async |start| {
        let begun = Instant::now();
        server.send(start).await;
        assert_about(begun.elapsed(), 1.0);
    }))
    .await;
    let begun = Instant::now();
    let said = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 200") && !said.ends_with("reset"), "{said}");
    assert_about(begun.elapsed(), 1.0);
    join_all(["", "GET / HTTP/1.1\r\n", "PRI"].map(async |start| {
        assert_about(trickle(server.connect().await, start).await.0, 1.0);
    }))
    .await;
}

#[tokio::test]
async fn a_slow_body_is_408_and_closed() {
    let server = start(short()).await;
    for framing in ["content-length: 1000", "transfer-encoding: chunked"] {
        let head = format!("POST /body HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
        let begun = Instant::now();
        let said = server.send(&head).await;
        assert!(said.starts_with("HTTP/1.1 408") && said.contains("problem+json"), "{said}");
        assert_about(begun.elapsed(), 1.0);
        let start = if framing.contains("chunked") { head + "3e8\r\n" } else { head };
        let (took, said) = trickle(server.connect().await, &start).await;
        assert!(said.starts_with("HTTP/1.1 408"), "{said}");
        assert_about(took, 1.0);
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_dropped() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // The server's end is closed once writes to it fail.
    let begun = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert_about(begun.elapsed(), 1.0);
}

#[tokio::test]
async fn an_http2_client_that_grants_no_window_is_dropped() {
    // So long that the server's own pings, which get no answer here, time out nothing.
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    stream.write_all(&[PREFACE.as_bytes(), &get(1, "/large")].concat()).await.unwrap();
    let begun = Instant::now();
    // Pings show that the client is alive, but must not keep the connection open.
    let ping = b"\0\0\x08\x06\0\0\0\0\0........";
    while stream.write_all(ping).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert_about(begun.elapsed(), 1.0);
    assert!(rest(&mut stream).await.contains("xxxx"), "the reply had begun");
}

#[tokio::test]
async fn an_http2_client_that_vanishes_is_dropped_though_its_request_is_open() {
    let server = start(Limits { response_seconds: 30, ..short() }).await;
    let begun = Instant::now();
    server.send([PREFACE.as_bytes(), &get(1, "/hang")].concat()).await;
    assert_about(begun.elapsed(), 2.0);
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_read_away_for_ever() {
    let server = start(short()).await;
    let mut stream = server.connect().await;
    let head = "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 20971520\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let begun = Instant::now();
    while stream.write_all(b"x").await.is_ok() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert_about(begun.elapsed(), 1.0);
}

#[tokio::test]
async fn a_slow_handler_is_503_and_a_quiet_event_stream_is_left_alone() {
    let server = start(short()).await;
    let begun = Instant::now();
    let said = server.send("GET /hang HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 1"), "{said}");
    assert_about(begun.elapsed(), 2.0);
    let mut events = server.connect().await;
    events.write_all(b"GET /events HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let wait = tokio::time::timeout(Duration::from_secs(4), rest(&mut events)).await;
    assert!(wait.is_err(), "closed: {wait:?}");
}
