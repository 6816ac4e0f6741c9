//! HTTP/2: windows that stay closed, windows of a byte, and requests that are reset at once.

use futures::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::task::JoinHandle;
use tripod_tests::{PhotoPost, eventually, photo};

use super::*;

const CONNECTIONS: u32 = 50;
const STREAMS: u32 = 100;

/// Makes the frames of a request on a stream.
type Request<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;

/// With an initial window of no bytes.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("frames are small").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A literal of HPACK without Huffman coding.
fn literal(index: u8, text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 127).expect("texts are short");
    [&[index, length], text.as_bytes()].concat()
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    let fields = [&[0x82, 0x86][..], &literal(0x04, path), &literal(0x01, "a")].concat();
    frame(1, 5, stream, &fields)
}

fn post_json(stream: u32, path: &str, json: &str) -> Vec<u8> {
    let kind = literal(0x0f, "application/json");
    // Content-Type is field 31 of the static table: 15, and 16 more.
    let kind = [&[kind[0], 16], &kind[1..]].concat();
    let fields = [&[0x83, 0x86][..], &literal(0x04, path), &literal(0x01, "a"), &kind].concat();
    [frame(1, 4, stream, &fields), frame(0, 1, stream, json.as_bytes())].concat()
}

fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

fn grant(stream: u32, bytes: u32) -> Vec<u8> {
    frame(8, 0, stream, &bytes.to_be_bytes())
}

fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|index| 2 * index + 1)
}

/// A connection whose replies are read away.
async fn connect(server: &Server) -> (OwnedWriteHalf, JoinHandle<std::io::Result<u64>>) {
    let stream = TcpStream::connect(server.address()).await.expect("a connection");
    let (mut from, mut to) = stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
    to.write_all(PREFACE).await.expect("a preface");
    (to, reading)
}

/// The path of a file of megabytes: noise as wide as the largest rendition.
async fn large_file(person: &Person) -> String {
    let post = person.publish(&PhotoPost::of([photo::noise(1_080, 2_160)])).await.expect(201);
    let url = post["photos"][0]["variants"][0]["url"].as_str().expect("a photo has a url").to_owned();
    let file = person.get(&format!("~{url}")).await;
    assert!(file.bytes.len() > 1 << 20, "{} bytes", file.bytes.len());
    url
}

#[tokio::test]
async fn closed_windows_hold_little_memory_and_not_for_long() {
    let server = limited().await;
    let kevin = Person::sign_up(&elsewhere(&server), "kevin").await;
    let url = large_file(&kevin).await;
    let idle = feed_p99(&kevin, 200).await;
    for granted in [0_u32, 1] {
        let attack = async {
            let (mut open, mut sent) = (Vec::new(), 0);
            for _ in 0..CONNECTIONS {
                let (mut to, reading) = connect(&server).await;
                let requests: Vec<u8> = streams(STREAMS).flat_map(|stream| get(stream, &url)).collect();
                sent += requests.len();
                // Refusals of the server are part of the experiment.
                let _ = to.write_all(&requests).await;
                open.push((to, reading));
            }
            let begun = Instant::now();
            let p99 = feed_p99(&kevin, 200).await;
            let bytes: Vec<u8> = streams(STREAMS).flat_map(|stream| grant(stream, 1)).collect();
            // Until the server has closed all of them.
            let closed = join_all(open.iter_mut().map(async |(to, reading)| {
                while !reading.is_finished() {
                    if granted > 0 {
                        let _ = to.write_all(&bytes).await;
                    }
                    assert!(begun.elapsed() < Duration::from_secs(60), "a connection is still open");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }));
            closed.await;
            (sent, p99, begun.elapsed())
        };
        let (grown, (sent, p99, closed)) = growth(&server, attack).await;
        println!(
            "windows of {granted} bytes on {CONNECTIONS} connections with {STREAMS} streams: {}, closed after \
             {closed:.1?}; the feed's p99 elsewhere {p99:.1?}, before {idle:.1?}",
            held(grown, sent)
        );
        assert!(grown <= MOST_BYTES, "{} MiB more", mib(grown));
        assert!(closed < Duration::from_secs(25), "{closed:?}");
    }
    kevin.get("/feed").await.expect(200);
}

#[tokio::test]
async fn requests_that_are_reset_at_once_leave_little_behind() {
    let mut server = limited().await;
    let kevin = Person::sign_up(&elsewhere(&server), "kevin").await;
    let url = large_file(&kevin).await;
    let idle = feed_p99(&kevin, 200).await;
    let wrong = r#"{"username":"nobody","password":"a wrong password"}"#;
    let kinds: [(&str, Request<'_>); 3] = [
        ("a file", Box::new(|stream| get(stream, &url))),
        ("/readyz", Box::new(|stream| get(stream, "/readyz"))),
        ("log-ins", Box::new(|stream| post_json(stream, "/api/v1/sessions", wrong))),
    ];
    for (what, request) in kinds {
        let attack = async {
            let sending = async {
                let (mut sent, mut bytes) = (0, 0);
                let begun = Instant::now();
                // The server ends a connection that resets too much; then there is another.
                while begun.elapsed() < Duration::from_secs(5) {
                    let (mut to, reading) = connect(&server).await;
                    for stream in streams(2_000) {
                        let attack = [request(stream), reset(stream)].concat();
                        if to.write_all(&attack).await.is_err() || reading.is_finished() {
                            break;
                        }
                        sent += 1;
                        bytes += attack.len();
                    }
                }
                (sent, bytes)
            };
            futures::join!(sending, feed_p99(&kevin, 200))
        };
        let (grown, ((sent, bytes), p99)) = growth(&server, attack).await;
        let begun = Instant::now();
        eventually("log-in works elsewhere", Duration::from_secs(60), async || {
            let body = serde_json::json!({"username": kevin.username, "password": "correct horse battery"});
            (kevin.post("/sessions", &body).await.status == 201).then_some(())
        })
        .await;
        let recovered = begun.elapsed();
        println!(
            "{sent} requests for {what}, each reset: {}, log-in elsewhere after {recovered:.1?}; the \
             feed's p99 elsewhere {p99:.1?}, before {idle:.1?}",
            held(grown, bytes)
        );
        assert!(grown <= MOST_BYTES, "{what}: {} MiB more", mib(grown));
        assert!(recovered < Duration::from_secs(10), "{what}: {recovered:?}");
    }
    let begun = Instant::now();
    assert!(server.terminate().await.success());
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
}
