//! Files that are not photos, claim to be too large, or never arrive completely.

use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod_tests::{PhotoPost, Reply, Server, photo};

use super::Unchanged;

/// Each file's description, its bytes and the expected status.
fn files() -> Vec<(&'static str, Vec<u8>, u16)> {
    let jpeg = photo::jpeg(400, 300, 5);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec();
    let mut gif = b"GIF89a\x10\0\x10\0\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    gif.extend(b",\0\0\0\0\x10\0\x10\0\0\x02\x0e\x8c\x8f\xa9\xcb\xed\x0f\xa3\x9c\xb4\xda\x8b\xb3>\x05\0;");
    vec![
        ("nothing", Vec::new(), 415),
        ("a truncated JPEG", jpeg[..jpeg.len() / 2].to_vec(), 422),
        ("the start of a JPEG", jpeg[..3].to_vec(), 422),
        ("a bomb", photo::png_header(60_000, 60_000), 422),
        ("a PNG without pixels", photo::png_header(10, 10), 422),
        ("a PNG of no width", photo::png_header(0, 10), 422),
        ("a PNG past 32 bits", photo::png_header(u32::MAX, u32::MAX), 422),
        ("a GIF", gif, 415),
        (
            "an SVG",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>".to_vec(),
            415,
        ),
        ("a page", b"<!doctype html><script>alert(1)</script>".to_vec(), 415),
        ("HEIC", heic, 415),
        ("a ZIP", b"PK\x03\x04zip".to_vec(), 415),
        ("zeros", vec![0; 100_000], 415),
    ]
}

#[tokio::test]
async fn what_is_no_photo_is_refused_whatever_it_is_called() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let unchanged = Unchanged::from_now(&server).await;
    for (what, bytes, status) in files() {
        let good = PhotoPost::of([photo::small()]);
        let part = Part::bytes(bytes.clone()).file_name("photo.jpg").mime_str("image/jpeg").unwrap();
        let form = good.form().part("photo", part);
        let reply = Reply::to(kevin.request(Method::POST, "/posts").multipart(form)).await;
        assert_eq!(reply.status, status, "{what} beside a good photo: {}", reply.json);
        let problem = reply.problem(status);
        assert_eq!(problem["errors"][0]["field"], "photo[1]", "{what}: {problem}");
        let avatar =
            kevin.request(Method::PUT, "/me/avatar").header("content-type", "image/jpeg").body(bytes);
        let reply = Reply::to(avatar).await;
        assert_eq!(reply.status, status, "{what} as an avatar: {}", reply.json);
        reply.problem(status);
        unchanged.check(what).await;
    }
}

#[tokio::test]
async fn a_page_behind_a_photo_is_never_served() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let page = b"<script>alert(1)</script>";
    let polyglot = [photo::jpeg(100, 100, 3), page.to_vec()].concat();
    let post = kevin.publish(&PhotoPost::of([polyglot])).await.expect(201);
    let file = kevin.get(&format!("~{}", post["photos"][0]["url"].as_str().unwrap())).await;
    assert_eq!(file.header("content-type"), "image/jpeg");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert!(!file.bytes.windows(page.len()).any(|window| window == page));
}

#[tokio::test]
async fn a_form_that_is_none_is_refused() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let unchanged = Unchanged::from_now(&server).await;
    let send = async |kind: &str, body: &[u8]| {
        Reply::to(kevin.request(Method::POST, "/posts").header("content-type", kind).body(body.to_vec()))
            .await
    };
    for kind in ["application/json", "multipart/form-data", "image/jpeg", "multipart/mixed; boundary=x"] {
        send(kind, b"--x--\r\n").await.problem(415);
    }
    let form = "multipart/form-data; boundary=x";
    for body in [&b""[..], b"--x\r\n", b"no boundary", b"--x\r\ncontent-disposition: form-data\r\n"] {
        send(form, body).await.problem(400);
    }
    send(form, b"--x--\r\n").await.problem(422);
    let text = |name: &'static str, bytes: Vec<u8>| {
        let form = PhotoPost::of([photo::small()]).form().part(name, Part::bytes(bytes));
        kevin.request(Method::POST, "/posts").multipart(form)
    };
    Reply::to(text("caption", b"\xff\xfe".to_vec())).await.problem(400);
    Reply::to(text("caption", b"a\0b".to_vec())).await.problem(422);
    Reply::to(text("caption", vec![b'x'; 1 << 20])).await.problem(422);
    Reply::to(text("surprise", b"x".to_vec())).await.problem(422);
    let only_text = Form::new().text("photo", "not a file");
    Reply::to(kevin.request(Method::POST, "/posts").multipart(only_text)).await.problem(415);
    unchanged.check("a form that is none").await;
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let unchanged = Unchanged::from_now(&server).await;
    let photo = photo::jpeg(800, 600, 4);
    let part = b"--x\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n";
    // A complete photo, and then half of a second one.
    let whole = [part, &photo[..], b"\r\n", part, &photo[..], b"\r\n--x--\r\n"].concat();
    for (path, method, kind, body) in [
        ("/posts", "POST", "multipart/form-data; boundary=x", whole),
        ("/me/avatar", "PUT", "image/jpeg", photo.clone()),
    ] {
        for keep in [body.len() / 2, body.len() * 3 / 4, body.len() - 12] {
            let mut socket = TcpStream::connect(server.address()).await.unwrap();
            let head = format!(
                "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n\
                 content-length: {}\r\nidempotency-key: {path}{keep}\r\n\r\n",
                kevin.token().unwrap(),
                body.len()
            );
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(&body[..keep]).await.unwrap();
            socket.shutdown().await.unwrap();
            let mut reply = Vec::new();
            let read = tokio::time::timeout(Duration::from_secs(15), socket.read_to_end(&mut reply)).await;
            read.expect("the connection ends").ok();
            let reply = String::from_utf8_lossy(&reply).into_owned();
            assert!(!reply.starts_with("HTTP/1.1 2"), "{path} of {keep} bytes: {reply}");
        }
    }
    unchanged.check("an upload that was cut off").await;
    assert!(unchanged.before.files.is_empty());
    // The same content is accepted when complete: only the cut was refused.
    kevin.publish(&PhotoPost::of([photo])).await.expect(201);
}
