//! Uploads that announce much and send little, and forms that are hard to parse.

use futures::future::join_all;
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod_tests::{PhotoPost, Reply, cpu_time, photo};

use super::*;

/// The head of an upload that announces so many bytes.
fn head(person: &Person, bytes: usize) -> String {
    format!(
        "POST /api/v1/posts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: {bytes}\r\n\r\n",
        person.token().expect("somebody who has signed up has a token")
    )
}

#[tokio::test]
async fn slow_uploads_that_announce_much_hold_nobody_up() {
    let server = limited().await;
    let hostile = Person::sign_up(&server.api(), "slow").await;
    let kevin = Person::sign_up(&elsewhere(&server), "kevin").await;
    let attack = async {
        let start = "--x\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n";
        let mut held = Vec::new();
        for _ in 0..64 {
            let mut stream = TcpStream::connect((HOSTILE, port(&server))).await.expect("a connection");
            stream.write_all((head(&hostile, 64 << 20) + start).as_bytes()).await.expect("a head");
            held.push(stream);
        }
        let dripping = async {
            loop {
                for stream in &mut held {
                    stream.write_all(&[0xff; 1_700]).await.expect("the rate is allowed");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let honest = async {
            let mut slowest = Duration::ZERO;
            for _ in 0..20 {
                let begun = Instant::now();
                kevin.post_photo("in time").await;
                slowest = slowest.max(begun.elapsed());
            }
            slowest
        };
        tokio::select! {
            slowest = honest => slowest,
            () = dripping => unreachable!("it never ends"),
        }
    };
    let (grown, slowest) = growth(&server, attack).await;
    println!(
        "64 uploads of 64 MiB at 17 kB/s: {} MiB more; 20 posts elsewhere meanwhile, the slowest in {slowest:.1?}",
        mib(grown)
    );
    assert!(grown <= MOST_BYTES, "{} MiB more", mib(grown));
}

#[tokio::test]
async fn ten_photos_of_ten_megabytes_are_a_post() {
    let server = limited().await;
    let kevin = server.person("kevin").await;
    // Random bytes after the end of a picture: cameras append such things.
    let mut photo = photo::jpeg(1_200, 900, 1);
    photo.resize(10_000_000, 0x55);
    let (grown, reply) = growth(&server, kevin.publish(&PhotoPost::of(vec![photo; 10]))).await;
    let post = reply.expect(201);
    assert_eq!(post["photos"].as_array().map(Vec::len), Some(10));
    println!("a post with ten photos of 10 MB: {} MiB more", mib(grown));
}

fn port(server: &Server) -> u16 {
    server.address().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port")
}

#[tokio::test]
async fn the_head_of_a_part_takes_linear_time_and_is_not_echoed() {
    let server = limited().await;
    let kevin = server.person("kevin").await;
    let before = cpu_time(server.pid());
    let name = "n".repeat(16 << 20);
    let form = Form::new().part(name, Part::text("x"));
    let reply = Reply::try_to(kevin.request(Method::POST, "/posts").multipart(form)).await;
    let reply = reply.expect("a reply, though the form is not read to its end");
    assert_eq!(reply.status, 400, "{}", reply.bytes.len());
    assert!(reply.bytes.len() < 1_000, "{} bytes are echoed", reply.bytes.len());

    // The same from slow connections, in small pieces.
    let slow = join_all((0..4).map(async |_| {
        let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
        let start = "--x\r\ncontent-disposition: form-data; name=\"";
        stream.write_all((head(&kevin, 4_000_000) + start).as_bytes()).await.expect("a head");
        let mut sent = 0;
        while sent < 3_900_000 && stream.write_all(&[b'n'; 3_900]).await.is_ok() {
            sent += 3_900;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let _ = stream.shutdown().await;
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply).await;
        (sent, String::from_utf8_lossy(&reply).into_owned())
    }));
    for (sent, reply) in slow.await {
        assert!(reply.starts_with("HTTP/1.1 400"), "after {sent} bytes: {reply:.200}");
        assert!(reply.len() < 2_000, "{} bytes", reply.len());
    }
    let took = cpu_time(server.pid()) - before;
    println!("a name of 16 MiB at once, and four of 4 MB in pieces: {took:.1?} of the processor");
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn what_is_wrong_is_said_without_echoing_all_of_it() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let long = "n".repeat(60_000);
    for body in [
        serde_json::json!({ long.clone(): 1 }),
        serde_json::json!({"name": {long.clone(): 1}}),
        serde_json::json!({"username": long.clone(), "password": "x"}),
    ] {
        for path in ["/me", "/sessions"] {
            let reply =
                if path == "/me" { kevin.patch(path, &body).await } else { kevin.post(path, &body).await };
            assert!(reply.status < 500, "{path} {}", reply.status);
            assert!(reply.bytes.len() < 2_000, "{path}: {} bytes are echoed", reply.bytes.len());
        }
    }
    let query = "n".repeat(20_000);
    for path in [
        format!("/users?{query}=1"),
        format!("/users/{query}"),
        format!("/feed?limit={query}"),
        format!("/feed?cursor={query}"),
    ] {
        let reply = kevin.get(&path).await;
        assert!(reply.bytes.len() < 2_000, "{}: {} bytes are echoed", &path[..12], reply.bytes.len());
    }
}
