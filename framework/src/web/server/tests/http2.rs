//! HTTP/2 clients that make the server hold replies, or handlers, and take nothing.

use super::*;

pub(super) const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// As [`PREFACE`], but with an initial window of no bytes.
const NO_WINDOW: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request without a body. The method is a field of HPACK's static table.
fn request(stream: u32, method: u8, path: &str) -> Vec<u8> {
    // Indexed: method and scheme http; then :path and :authority as literals.
    let fields = [&[method, 0x86, 0x04, path.len() as u8], path.as_bytes(), b"\x01\x01a"].concat();
    frame(1, 5, stream, &fields)
}

pub(super) fn get(stream: u32, path: &str) -> Vec<u8> {
    request(stream, 0x82, path)
}

fn post(stream: u32, path: &str) -> Vec<u8> {
    request(stream, 0x83, path)
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

/// Sends `again` every 20 ms until the server closes the connection, for ten seconds at most.
async fn closes(stream: &mut TcpStream, again: &[u8]) -> Duration {
    let begun = Instant::now();
    while stream.write_all(again).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "still open");
    }
    begun.elapsed()
}

/// Pings show that the client is alive, but must not keep the connection open.
fn ping() -> Vec<u8> {
    frame(6, 0, 0, b"........")
}

#[tokio::test]
async fn a_client_that_grants_no_window_is_dropped_wherever_its_replies_stop() {
    // So long that the server's own pings, which get no answer here, time out nothing.
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    for preface in [PREFACE, NO_WINDOW] {
        let mut stream = server.connect().await;
        stream.write_all(&[preface.as_bytes(), &get(1, "/large")].concat()).await.unwrap();
        assert_about(closes(&mut stream, &ping()).await, 1.0);
        let read = rest(&mut stream).await;
        assert_eq!(read.contains("xxxx"), preface == PREFACE, "the reply had begun, or not");
    }
}

#[tokio::test]
async fn a_window_of_a_byte_now_and_then_is_no_progress() {
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    let requests: Vec<u8> = streams(20).flat_map(|stream| get(stream, "/large")).collect();
    stream.write_all(&[NO_WINDOW.as_bytes(), &requests].concat()).await.unwrap();
    let bytes: Vec<u8> = streams(20).flat_map(|stream| grant(stream, 1)).collect();
    assert_about(closes(&mut stream, &bytes).await, 1.0);
}

#[tokio::test]
async fn one_stream_that_is_read_does_not_save_another_that_is_not() {
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    let requests = [get(1, "/large"), get(3, "/large")].concat();
    stream.write_all(&[NO_WINDOW.as_bytes(), &requests].concat()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
    let begun = Instant::now();
    while to.write_all(&[grant(1, 20_000), grant(0, 20_000)].concat()).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(begun.elapsed() < Duration::from_secs(10), "still open");
    }
    assert_about(begun.elapsed(), 1.0);
    reading.abort();
}

#[tokio::test]
async fn a_reply_that_is_taken_steadily_may_take_its_time() {
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    stream.write_all(&[NO_WINDOW.as_bytes(), &get(1, "/large")].concat()).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let reading = tokio::spawn(async move { tokio::io::copy(&mut from, &mut tokio::io::sink()).await });
    // Four times as long as a client may take nothing, a piece each half of that time.
    for _ in 0..8 {
        to.write_all(&[grant(1, 32_768), grant(0, 32_768)].concat()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(!reading.is_finished());
}

#[tokio::test]
async fn a_connection_has_a_bounded_number_of_requests_handled_at_once() {
    let server = start(Limits { response_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    let requests: Vec<u8> = streams(100).flat_map(|stream| get(stream, "/hang")).collect();
    stream.write_all(&[PREFACE.as_bytes(), &requests].concat()).await.unwrap();
    eventually_hanging(&server, 32).await;
    // The others wait: none of them is called meanwhile.
    let said = server.get().await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert_eq!(server.hanging.load(Ordering::Relaxed), 32);
}

#[tokio::test]
async fn requests_that_are_reset_at_once_do_not_leave_more_handlers_behind() {
    let server = start(Limits { response_seconds: 30, handlers_per_network: 100, ..short() }).await;
    for _ in 0..5 {
        let mut stream = server.connect().await;
        stream.write_all(PREFACE.as_bytes()).await.unwrap();
        for stream_id in streams(1_000) {
            let attack = [post(stream_id, "/hang"), reset(stream_id)].concat();
            if stream.write_all(&attack).await.is_err() {
                break;
            }
        }
        let ended = tokio::time::timeout(Duration::from_secs(5), rest(&mut stream)).await;
        assert!(ended.is_ok(), "a connection that resets all of its requests is still open");
    }
    let called = server.hanging.load(Ordering::Relaxed);
    assert!(called <= 100, "{called} handlers run");
}

#[tokio::test]
async fn a_client_that_resets_some_of_its_requests_keeps_its_connection() {
    let server = start(Limits { header_seconds: 30, ..short() }).await;
    let mut stream = server.connect().await;
    stream.write_all(PREFACE.as_bytes()).await.unwrap();
    let ids: Vec<u32> = streams(800).collect();
    let (mut seen, mut bytes) = (Vec::new(), [0; 4096]);
    for four in ids.chunks(4) {
        let [first, second, third, fourth] = four else { unreachable!() };
        let mixed =
            [get(*first, "/"), get(*second, "/"), get(*third, "/hang"), reset(*third), get(*fourth, "/")];
        stream.write_all(&mixed.concat()).await.unwrap();
        // The head of the last one's reply.
        let head = [&[1, 4], &fourth.to_be_bytes()[..]].concat();
        while !seen.windows(6).any(|window| window == head) {
            let read = stream.read(&mut bytes).await.unwrap();
            assert!(read > 0, "the connection was closed");
            seen.extend_from_slice(&bytes[..read]);
        }
        seen.clear();
    }
}

async fn eventually_hanging(server: &Running, count: usize) {
    let begun = Instant::now();
    while server.hanging.load(Ordering::Relaxed) < count {
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", server.hanging);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
