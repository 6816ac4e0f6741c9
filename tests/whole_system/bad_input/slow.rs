//! Slow clients: they are disconnected, and no one else waits for them.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod_tests::Server;

/// When a client that makes no progress must be disconnected.
const CLOSED: Duration = Duration::from_secs(15);
/// The interval between two bytes of a slow client.
const DRIP: Duration = Duration::from_millis(500);

/// Sends `start`, then `drip` byte by byte for ever. Returns how long the server kept the connection,
/// and its reply.
async fn drip(address: &str, start: String, drip: &'static [u8]) -> (Duration, String) {
    let began = Instant::now();
    let socket = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = socket.into_split();
    to.write_all(start.as_bytes()).await.unwrap();
    let dripping = tokio::spawn(async move {
        for byte in drip.iter().cycle() {
            tokio::time::sleep(DRIP).await;
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
        }
    });
    let mut reply = Vec::new();
    // The connection may be closed with or without a reset.
    let end = tokio::time::timeout(CLOSED * 3, from.read_to_end(&mut reply)).await;
    dripping.abort();
    assert!(end.is_ok(), "still open after {:?}", began.elapsed());
    (began.elapsed(), String::from_utf8_lossy(&reply).into_owned())
}

#[tokio::test]
async fn slow_clients_are_closed_while_an_honest_one_is_served() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    kevin.post_photo("x").await;
    let (address, token) = (server.address(), kevin.token().unwrap());
    let body = |method: &str, path: &str, kind: &str| {
        format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
             content-type: {kind}\r\ncontent-length: 60000\r\n\r\n"
        )
    };
    let form = format!("{}--x\r\n", body("POST", "/posts", "multipart/form-data; boundary=x"));
    let kinds: [(&str, String, &[u8]); 6] = [
        ("nothing", String::new(), b""),
        ("a head that never ends", "GET /api/v1/explore HTTP/1.1\r\n".to_owned(), b"x: y\r\n"),
        ("a line that never ends", "GET /".to_owned(), b"x"),
        ("a slow JSON body", body("PATCH", "/me", "application/json"), b" "),
        ("a slow photo", body("PUT", "/me/avatar", "image/jpeg"), b"\xff"),
        ("a slow form", form, b"x"),
    ];
    let slow = async {
        let each = kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, 20));
        let ends = join_all(each.map(async |(what, start, bytes)| {
            let (closed, reply) = drip(address, start.clone(), bytes).await;
            assert!(closed <= CLOSED, "{what} was open for {closed:?}");
            if start.contains("content-length") {
                assert!(reply.starts_with("HTTP/1.1 408"), "{what}: {reply}");
            }
            closed
        }));
        ends.await.into_iter().max().unwrap()
    };
    let mut slowest = Duration::ZERO;
    let mut requests = 0;
    let honest = async {
        loop {
            let began = Instant::now();
            kevin.get("/feed").await.expect(200);
            slowest = slowest.max(began.elapsed());
            requests += 1;
        }
    };
    let closed = tokio::select! {
        closed = slow => closed,
        () = honest => unreachable!("the honest client never stops"),
    };
    println!(
        "120 slow clients closed within {closed:?}; {requests} honest requests, the slowest {slowest:?}"
    );
    assert!(
        requests > 20 && slowest < Duration::from_secs(5),
        "{requests} requests, the slowest {slowest:?}"
    );
}
