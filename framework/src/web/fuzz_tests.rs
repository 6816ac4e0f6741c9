//! Forms with files, tried with mutated inputs in pieces as they arrive from a network.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::{Router, routing::post};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde::Deserialize;
use tower::ServiceExt;

use super::{MultipartForm, body};
use crate::testing::fuzz::fuzz;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Note {
    photo: Vec<Bytes>,
    text: String,
    stars: Option<u8>,
}

/// No reply repeats what was sent at length.
const MAX_REPLY_BYTES: usize = 2_000;

#[test]
fn a_form_with_files_of_any_bytes_is_read_or_refused() {
    let corpus: [&[u8]; 3] = [
        b"--b\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\
          \xff\xd8\r\n--b\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\nhello\r\n--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=\"stars\"\r\n\r\n5\r\n--b--\r\n",
        b"preamble\r\n--b\r\ncontent-disposition: form-data; name*=UTF-8''te%20xt; filename=\"\"\r\n\r\n\r\n--b--",
    ];
    let words: [&[u8]; 12] = [
        b"\r\n",
        b"\r\n--b",
        b"--b--",
        b"--",
        b"\"",
        b"; name=\"",
        b"; filename=\"",
        b"Content-Disposition: form-data",
        b"\r\n\r\n",
        b"\0",
        b"Content-Transfer-Encoding: base64",
        b"\\\"",
    ];
    let form = async |MultipartForm(note): MultipartForm<Note>| {
        format!("{} {} {:?}", note.photo.len(), note.text.len(), note.stars)
    };
    let router: Router = Router::new().route("/", post(form)).layer(body::limit(1 << 20));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    fuzz(&corpus, &words, |input| {
        let piece = 1 + usize::from(input.first().copied().unwrap_or_default()) % 97;
        let pieces: Vec<Result<Bytes, std::io::Error>> =
            input.chunks(piece).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let request = Request::post("/").header(CONTENT_TYPE, "multipart/form-data; boundary=b");
        let request = request.body(Body::from_stream(futures::stream::iter(pieces))).unwrap();
        runtime.block_on(async {
            let reply = router.clone().oneshot(request).await.unwrap();
            assert!(reply.status().as_u16() < 500, "{}", reply.status());
            let text = reply.into_body().collect().await.unwrap().to_bytes();
            assert!(text.len() <= MAX_REPLY_BYTES, "{} bytes", text.len());
        });
    });
}
