//! The proxy, between a client and an echo server.

use std::io;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tripod_tests::servers::Proxy;

/// Many times longer than an echo over loopback takes.
const SILENCE: Duration = Duration::from_millis(200);

async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut from, mut into) = socket.split();
                tokio::io::copy(&mut from, &mut into).await
            });
        }
    });
    address
}

async fn say(socket: &mut TcpStream, text: &str) -> io::Result<()> {
    socket.write_all(text.as_bytes()).await?;
    hear(socket, text).await
}

async fn hear(socket: &mut TcpStream, text: &str) -> io::Result<()> {
    let mut heard = vec![0; text.len()];
    socket.read_exact(&mut heard).await?;
    assert_eq!(heard, text.as_bytes());
    Ok(())
}

#[tokio::test]
async fn a_proxy_passes_refuses_hangs_cuts_and_delays() {
    let mut proxy = Proxy::to(&echo().await).await;
    let connect = || TcpStream::connect(proxy.address());
    let mut socket = connect().await.unwrap();
    say(&mut socket, &"long ".repeat(100_000)).await.unwrap();

    let began = Instant::now();
    proxy.delay(SILENCE);
    say(&mut socket, "late").await.unwrap();
    assert!(began.elapsed() >= 2 * SILENCE, "there and back in {:?}", began.elapsed());
    proxy.delay(Duration::ZERO);

    let address = proxy.address();
    proxy.refuse().await;
    assert_eq!(TcpStream::connect(&address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    say(&mut socket, "one that is open stays").await.unwrap();

    proxy.hang().await;
    let mut hanging = TcpStream::connect(&address).await.unwrap();
    hanging.write_all(b"held").await.unwrap();
    for socket in [&mut socket, &mut hanging] {
        let answer = tokio::time::timeout(SILENCE, say(socket, " back")).await;
        assert!(answer.is_err(), "it answered");
    }
    proxy.pass().await;
    hear(&mut socket, " back").await.unwrap();
    hear(&mut hanging, "held back").await.unwrap();

    proxy.cut();
    for socket in [&mut socket, &mut hanging] {
        assert_eq!(socket.read(&mut [0]).await.unwrap_or_default(), 0, "it is closed");
    }
    let mut socket = TcpStream::connect(&address).await.unwrap();
    say(&mut socket, "a new one").await.unwrap();
    // The server sees the client's end of stream, and the client sees the server's.
    socket.shutdown().await.unwrap();
    assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
    drop(proxy);
    tripod_tests::eventually("the port is free", crate::SOON, async || {
        TcpStream::connect(&address).await.is_err().then_some(())
    })
    .await;
}
