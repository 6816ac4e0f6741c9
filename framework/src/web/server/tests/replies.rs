//! Replies arrive whole, refusals can be read, and connections end in order.

use super::*;

#[tokio::test]
async fn a_body_that_nobody_reads_leaves_the_reply_readable() {
    let server = start(short()).await;
    let mib = vec![b'x'; 1 << 20];
    for (path, status) in [("/body", "413"), ("/deaf", "200")] {
        for framing in ["content-length: 20971520", "transfer-encoding: chunked"] {
            let mut stream = server.connect().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
            if framing.contains("chunked") {
                stream.write_all(b"1400000\r\n").await.unwrap();
            }
            // Like a client that reads nothing before it has sent everything.
            for _ in 0..20 {
                stream.write_all(&mib).await.unwrap();
            }
            let said = rest(&mut stream).await;
            assert!(said.starts_with(&format!("HTTP/1.1 {status}")), "{path} {framing} {said}");
            assert!(!said.ends_with("reset"), "{path} {framing} {said}");
        }
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let server = start(short()).await;
    let large = format!("a: {}\r\n", "x".repeat(40_000));
    let many = "a: b\r\n".repeat(101);
    for fields in [large, many] {
        let said = server.send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{fields}\r\n")).await;
        assert!(said.starts_with("HTTP/1.1 431") && !said.ends_with("reset"), "{said}");
    }
    let fits = format!("a: {}\r\n", "x".repeat(30_000));
    let said = server.send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{fits}\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_room_comes_back() {
    let server = start(Limits { connections: 2, ..short() }).await;
    let held = [server.connect().await, server.connect().await];
    let begun = Instant::now();
    let said = server.get().await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("retry-after: 1"), "{said}");
    assert!(!said.ends_with("reset") && begun.elapsed() < Duration::from_millis(500));
    drop(held);
    while !server.get().await.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn an_honest_client_is_served_while_slow_ones_hang() {
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut slow = Vec::new();
    for index in 0..500 {
        let mut stream = server.connect().await;
        let part = ["", "GET / HT", "POST /body HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n"];
        stream.write_all(part[index % 3].as_bytes()).await.unwrap();
        slow.push(stream);
    }
    let mut stream = server.connect().await;
    let begun = Instant::now();
    for _ in 0..200 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        let mut tail = Vec::new();
        while !tail.ends_with(b"127.0.0.1:") && !String::from_utf8_lossy(&tail).contains("\r\n\r\n127.0.0.1:")
        {
            tail.push(stream.read_u8().await.unwrap());
        }
        let port = stream.local_addr().unwrap().port().to_string();
        let mut rest = vec![0; port.len()];
        stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, port.as_bytes(), "the handler knows its client's address");
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "200 requests in {:?}", begun.elapsed());
}

#[tokio::test]
async fn shutdown_finishes_what_is_open_and_refuses_what_is_new() {
    let mut server = start(Limits { header_seconds: 30, response_seconds: 30, ..short() }).await;
    let mut idle = server.connect().await;
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let _ = idle.read_u8().await.unwrap();
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.begun.notified().await;
    let mut fresh = server.connect().await;
    server.stop.take().unwrap().send(()).unwrap();
    let begun = Instant::now();
    rest(&mut idle).await;
    assert!(begun.elapsed() < Duration::from_millis(500), "idle: {:?}", begun.elapsed());
    fresh.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let said = rest(&mut fresh).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("connection: close"), "{said}");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.task.is_finished());
    server.finish.notify_one();
    let said = rest(&mut slow).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("done"), "{said}");
    server.task.await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn shutdown_waits_for_nobody_longer_than_the_drain() {
    let mut server = start(Limits { drain_seconds: 1, response_seconds: 30, ..short() }).await;
    let mut slow = server.connect().await;
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    server.begun.notified().await;
    let begun = Instant::now();
    server.stop.take().unwrap().send(()).unwrap();
    server.task.await.unwrap().unwrap();
    assert_about(begun.elapsed(), 1.0);
    assert_eq!(rest(&mut slow).await.trim_end_matches("reset"), "");
}
