//! What one client may hold, and who the client is behind a proxy.

use futures::future::join_all;

use super::*;
use crate::config::Config;

fn proxies(variables: &[(&'static str, &str)]) -> TrustedProxies {
    let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
    TrustedProxies::of(&Config::of_environment(variables).unwrap())
}

#[tokio::test]
async fn one_network_cannot_hold_all_connections() {
    let server = start(Limits { connections: 6, connections_per_network: 3, ..short() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(server.connect().await);
    }
    let said = server.get().await;
    assert!(said.starts_with("HTTP/1.1 429") && said.contains("retry-after: 1"), "{said}");
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut other = elsewhere.connect(server.address).await.unwrap();
    other.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let said = rest(&mut other).await;
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("127.0.0.2:"), "{said}");
    drop(held);
    let begun = Instant::now();
    while !server.get().await.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_trusted_proxy_may_hold_all_connections_and_its_clients_have_their_shares() {
    let limits = Limits { connections_per_network: 2, handlers_per_network: 1, ..short() };
    let server = start_behind(proxies(&[("TRIPOD_TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8")]), limits).await;
    let ask = |path: &'static str, client: &'static str| {
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-forwarded-for: {client}, 10.1.1.1\r\n");
        async { server.send(head + "connection: close\r\n\r\n").await }
    };
    let (slow, others) = futures::join!(ask("/slow", "203.0.113.9"), async {
        server.begun.notified().await;
        let said =
            join_all(["203.0.113.9", "203.0.113.8", "2001:db8::1"].map(|client| ask("/", client))).await;
        server.finish.notify_one();
        said
    });
    assert!(slow.starts_with("HTTP/1.1 200"), "{slow}");
    assert!(others[0].starts_with("HTTP/1.1 429"), "{}", others[0]);
    assert!(others[1].contains("\r\n\r\n203.0.113.8:0"), "{}", others[1]);
    assert!(others[2].contains("\r\n\r\n[2001:db8::1]:0"), "{}", others[2]);
}

#[tokio::test]
async fn a_header_of_someone_else_is_not_believed() {
    let server = start_behind(proxies(&[("TRIPOD_TRUSTED_PROXIES", "10.0.0.0/8")]), short()).await;
    let said = server
        .send("GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-for: 203.0.113.9\r\nforwarded: for=203.0.113.9\r\nconnection: close\r\n\r\n")
        .await;
    assert!(said.contains("\r\n\r\n127.0.0.1:"), "{said}");
}

#[tokio::test]
async fn a_proxy_may_say_it_in_the_proxy_protocol() {
    let settings = [("TRIPOD_TRUSTED_PROXIES", "127.0.0.1"), ("TRIPOD_PROXY_PROTOCOL", "on")];
    let server = start_behind(proxies(&settings), Limits { connections_per_network: 1, ..short() }).await;
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let named = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 1234 80\r\n");
    let said = server.send(named("203.0.113.9") + request).await;
    assert!(said.contains("\r\n\r\n203.0.113.9:1234"), "{said}");
    let mut held = server.connect().await;
    held.write_all((named("203.0.113.9") + "GET / HT").as_bytes()).await.unwrap();
    let begun = Instant::now();
    while !server.send(named("203.0.113.9") + request).await.starts_with("HTTP/1.1 429") {
        assert!(begun.elapsed() < Duration::from_millis(900), "the share of a client behind a proxy");
    }
    let said = server.send(named("203.0.113.8") + request).await;
    assert!(said.contains("\r\n\r\n203.0.113.8:1234"), "{said}");
    // Without the header it is no HTTP of ours, and one that never comes takes no longer than a head.
    assert_eq!(server.send(request).await.trim_end_matches("reset"), "");
    let begun = Instant::now();
    server.send("PROXY TCP4 ").await;
    assert_about(begun.elapsed(), 1.0);
}

#[tokio::test]
async fn what_one_network_leaves_unsent_is_bounded() {
    // `/large` has 32 MiB.
    let limits = Limits { unsent_bytes: 100 << 20, unsent_bytes_per_network: 64 << 20, ..short() };
    let server = start(Limits { write_seconds: 30, ..limits }).await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        held.push(stream);
    }
    let large = "GET /large HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let said = server.send(large).await;
    assert!(said.starts_with("HTTP/1.1 429"), "{}", &said[..100]);
    drop(held);
    let begun = Instant::now();
    while !server.send(large).await.starts_with("HTTP/1.1 200") {
        assert!(begun.elapsed() < Duration::from_secs(5), "what was unsent is still charged");
    }
}
