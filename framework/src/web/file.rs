//! A stored file as a reply: streamed as the client takes it, whole or in a range, and conditional.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use headers::{HeaderMapExt, IfNoneMatch};
use http_body::{Frame, SizeHint};

use super::Problem;
use super::server::StreamedIn;
use crate::error::Error;
use crate::media::{MediaKey, MediaStore};

/// The reply to GET or HEAD for a stored file. A file never changes, so its key is its entity tag.
///
/// Answers 206 to a range, 304 if the client has the file, and 416 to a range past its end. Several
/// ranges at once are answered with the whole file, as RFC 9110 allows.
pub(crate) async fn stored_file(
    store: &MediaStore,
    key: MediaKey,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Some(length) = store.length(&key).await? else {
        return Err(Problem::absent("There is no such file."));
    };
    let tag = format!("\"{}\"", key.as_str());
    let mut reply = HeaderMap::new();
    let mut set = |name, value: &str| {
        // A key and numbers are valid in a header.
        HeaderValue::from_str(value).map(|value| reply.insert(name, value)).is_ok()
    };
    set(ETAG, &tag);
    set(CACHE_CONTROL, MediaKey::CACHE_CONTROL);
    let has_it = headers.typed_get::<IfNoneMatch>().is_some_and(|condition| {
        tag.parse::<headers::ETag>().is_ok_and(|tag| !condition.precondition_passes(&tag))
    });
    if has_it {
        return Ok((StatusCode::NOT_MODIFIED, reply).into_response());
    }
    set(CONTENT_TYPE, key.content_type());
    set(ACCEPT_RANGES, "bytes");
    // If a browser ever renders a file as a page, this disables everything in it.
    set(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    let (status, range) = match asked(headers, &tag, length) {
        Asked::Whole => (StatusCode::OK, 0..length),
        Asked::Part(range) => {
            set(CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, range.end - 1));
            (StatusCode::PARTIAL_CONTENT, range)
        }
        Asked::PastTheEnd => {
            let mut problem =
                Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, format!("The file has {length} bytes."))
                    .into_response();
            let value = HeaderValue::from_str(&format!("bytes */{length}"));
            value.map(|value| problem.headers_mut().insert(CONTENT_RANGE, value)).ok();
            return Ok(problem);
        }
    };
    let left = range.end - range.start;
    set(CONTENT_LENGTH, &left.to_string());
    let body = Body::new(FileBody { left, pieces: store.stream(key, range).boxed() });
    let mut response = (status, reply, body).into_response();
    response.extensions_mut().insert(StreamedIn(MediaStore::PIECE_BYTES));
    Ok(response)
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Whole,
    Part(std::ops::Range<u64>),
    PastTheEnd,
}

/// What a request asks for of a file with this entity tag and length in bytes.
fn asked(headers: &HeaderMap, tag: &str, length: u64) -> Asked {
    // A client that has part of another file wants all of this one.
    if headers.get(IF_RANGE).is_some_and(|condition| condition != tag) {
        return Asked::Whole;
    }
    // Several ranges are not parsed: validating them takes quadratic time. A range that doesn't parse is
    // ignored, like one in another unit.
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok()).filter(|text| !text.contains(','));
    let Some(Ok(range)) = range.map(http_range_header::parse_range_header) else {
        return Asked::Whole;
    };
    match range.validate(length).as_deref() {
        // An empty file has no range, which the library does not know.
        Ok([range]) if *range.end() < length => Asked::Part(*range.start()..range.end() + 1),
        Ok([_, _, ..] | []) => Asked::Whole,
        Ok([_]) | Err(_) => Asked::PastTheEnd,
    }
}

/// The pieces of a file, and how many bytes are left.
struct FileBody {
    left: u64,
    pieces: BoxStream<'static, Result<Bytes, Error>>,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        Pin::new(&mut self.pieces).poll_next(context).map_ok(|piece| {
            self.left -= piece.len() as u64;
            Frame::data(piece)
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fuzz::fuzz;
    use http_body_util::BodyExt;

    const LENGTH: u64 = 3 * MediaStore::PIECE_BYTES + 7;

    struct Reply {
        status: u16,
        headers: HeaderMap,
        body: Bytes,
    }

    async fn ask(lines: &[(&'static str, &str)]) -> (Reply, Bytes, String) {
        let directory = tempfile::tempdir().unwrap();
        let store = MediaStore::open_directory(directory.path()).await.unwrap();
        let key = MediaKey::random("jpg").unwrap();
        let file: Bytes = (0..LENGTH).map(|index| (index % 251) as u8).collect();
        store.put(&key, file.clone()).await.unwrap();
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.replace("KEY", key.as_str()).parse().unwrap());
        }
        let response = match stored_file(&store, key.clone(), &headers).await {
            Ok(response) => response,
            Err(problem) => problem.into_response(),
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Reply { status: parts.status.as_u16(), headers: parts.headers, body }, file, key.to_string())
    }

    #[tokio::test]
    async fn a_file_comes_whole_and_says_what_it_is() {
        let (reply, file, key) = ask(&[]).await;
        assert_eq!((reply.status, &reply.body), (200, &file));
        assert_eq!(reply.headers["etag"], format!("\"{key}\""));
        assert_eq!(reply.headers["content-type"], "image/jpeg");
        assert_eq!(reply.headers["content-length"], LENGTH.to_string());
        assert_eq!(reply.headers["accept-ranges"], "bytes");
        assert_eq!(reply.headers["cache-control"], MediaKey::CACHE_CONTROL);
    }

    #[tokio::test]
    async fn a_range_is_answered_with_that_part() {
        let (last, piece) = (LENGTH - 1, MediaStore::PIECE_BYTES);
        for (range, part) in [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=5-".to_owned(), 5..LENGTH),
            ("bytes=-7".to_owned(), LENGTH - 7..LENGTH),
            (format!("bytes={}-{}", piece - 1, piece), piece - 1..piece + 1),
            (format!("bytes=0-{}", LENGTH * 2), 0..LENGTH),
            (format!("bytes={last}-{last}"), last..LENGTH),
        ] {
            let (reply, file, _) = ask(&[("range", &range)]).await;
            assert_eq!(reply.status, 206, "{range}");
            assert_eq!(reply.body, file.slice(part.start as usize..part.end as usize), "{range}");
            let said = format!("bytes {}-{}/{LENGTH}", part.start, part.end - 1);
            assert_eq!(reply.headers["content-range"], said);
            assert_eq!(reply.headers["content-length"], (part.end - part.start).to_string());
        }
    }

    #[tokio::test]
    async fn a_range_past_the_end_is_416_and_one_that_makes_no_sense_is_ignored() {
        let (reply, ..) = ask(&[("range", &format!("bytes={LENGTH}-"))]).await;
        assert_eq!(reply.status, 416);
        assert_eq!(reply.headers["content-range"], format!("bytes */{LENGTH}"));
        for range in ["bytes=x-y", "lines=0-1", "bytes", "", "bytes=0-1,5-6"] {
            assert_eq!(ask(&[("range", range)]).await.0.status, 200, "{range}");
        }
    }

    #[test]
    fn any_range_is_within_the_file_or_refused() {
        let corpus: [&[u8]; 5] = [b"bytes=0-", b"bytes=-7", b"bytes=5-9", b"bytes=0-1,5-6", b"lines=1"];
        let words: [&[u8]; 7] =
            [b"-", b"=", b",", b"bytes", b"18446744073709551615", b"99999999999999999999", b" "];
        fuzz(&corpus, &words, |input| {
            let Ok(value) = HeaderValue::from_bytes(input) else { return };
            let headers = HeaderMap::from_iter([(RANGE, value)]);
            for length in [0, 1, 9, u64::MAX] {
                if let Asked::Part(range) = asked(&headers, "\"tag\"", length) {
                    assert!(range.start < range.end && range.end <= length, "{range:?} of {length}");
                }
            }
        });
    }

    #[tokio::test]
    async fn who_has_the_file_is_not_sent_it_again() {
        for (tags, status) in [("\"KEY\"", 304), ("\"a\", W/\"KEY\"", 304), ("*", 304), ("\"other\"", 200)] {
            let (reply, file, _) = ask(&[("if-none-match", tags)]).await;
            assert_eq!(reply.status, status, "{tags}");
            assert_eq!(reply.body.len(), if status == 304 { 0 } else { file.len() });
            assert!(reply.headers.contains_key("etag") && reply.headers.contains_key("cache-control"));
        }
        assert_eq!(ask(&[("range", "bytes=0-0"), ("if-range", "\"KEY\"")]).await.0.status, 206);
        assert_eq!(ask(&[("range", "bytes=0-0"), ("if-range", "\"other\"")]).await.0.status, 200);
    }
}
