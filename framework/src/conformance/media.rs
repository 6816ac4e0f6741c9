//! Media: a file can be read from its put until its deletion, on any backend.

use std::time::Duration;

use axum::http::{Method, Request, StatusCode};
use bytes::Bytes;

use crate::media::{MediaKey, MediaStore, PresignedPut};
use crate::testing::eventually;

/// Longer than the test takes.
const LONG: Duration = Duration::from_secs(600);

fn key() -> MediaKey {
    MediaKey::random("jpg").unwrap()
}

/// Bytes that a missing, duplicated or swapped part would change.
fn body(length: usize) -> Bytes {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect::<Vec<_>>().into()
}

/// A file exists from the return of its put until it is deleted, and other files stay.
pub async fn what_is_put_is_got_until_it_is_deleted(store: &MediaStore) {
    let (kept, deleted) = (key(), key());
    for key in [&kept, &deleted] {
        assert_eq!(store.get(key).await.unwrap(), None);
        store.put(key, Bytes::from(key.to_string())).await.unwrap();
        assert_eq!(store.get(key).await.unwrap().unwrap(), key.to_string());
    }
    store.delete(&deleted).await.unwrap();
    assert_eq!(store.get(&deleted).await.unwrap(), None);
    assert_eq!(store.get(&kept).await.unwrap().unwrap(), kept.to_string());
    store.check().await.unwrap();
}

/// Putting the same bytes again is not an error, before or after a deletion; nor is an empty file.
pub async fn to_put_again_is_harmless(store: &MediaStore) {
    for bytes in [body(1_000), Bytes::new()] {
        let key = key();
        for _ in 0..2 {
            store.put(&key, bytes.clone()).await.unwrap();
            store.put(&key, bytes.clone()).await.unwrap();
            assert_eq!(store.get(&key).await.unwrap().unwrap(), bytes);
            store.delete(&key).await.unwrap();
        }
        assert_eq!(store.get(&key).await.unwrap(), None);
    }
}

/// A file that never existed is `None`, and deleting it is not an error.
pub async fn what_is_absent_is_none(store: &MediaStore) {
    let key = key();
    store.delete(&key).await.unwrap();
    store.delete(&key).await.unwrap();
    assert_eq!(store.get(&key).await.unwrap(), None);
}

/// Bodies of many megabytes, one of them an odd length, come back unchanged.
pub async fn a_large_body_comes_back_whole(store: &MediaStore) {
    for length in [24 * 1024 * 1024, 24 * 1024 * 1024 + 1] {
        let (key, bytes) = (key(), body(length));
        store.put(&key, bytes.clone()).await.unwrap();
        // Not assert_eq: it would print them.
        assert!(store.get(&key).await.unwrap().unwrap() == bytes, "{length} bytes are not the same");
        store.put(&key, bytes.clone()).await.unwrap();
        store.delete(&key).await.unwrap();
        assert_eq!(store.get(&key).await.unwrap(), None);
    }
}

/// Concurrent puts of one key all succeed, and readers see nothing or the whole file.
pub async fn concurrent_puts_of_one_key_agree(store: &MediaStore) {
    let (key, bytes) = (key(), body(300_000));
    let puts = futures::future::join_all((0..8).map(|_| store.put(&key, bytes.clone())));
    let reads = async {
        eventually("the file is there", async || {
            let found = store.get(&key).await.unwrap()?;
            assert!(found == bytes, "a reader saw {} bytes", found.len());
            Some(())
        })
        .await;
    };
    let (puts, ()) = futures::join!(puts, reads);
    for put in puts {
        put.unwrap();
    }
    assert!(store.get(&key).await.unwrap().unwrap() == bytes);
}

/// A client's request to a link, as `send` of the suites takes it.
fn request(method: Method, url: &str, headers: &[(String, String)], body: Bytes) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(body).unwrap()
}

fn put_request(link: &PresignedPut, change: (&str, &str), body: &'static [u8]) -> Request<Bytes> {
    let mut headers = link.headers.clone();
    if let Some(header) = headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(change.0)) {
        header.1 = change.1.to_owned();
    }
    // Like a client that sends what it has, whatever was signed.
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-length"));
    headers.push(("content-length".to_owned(), body.len().to_string()));
    request(Method::PUT, &link.url, &headers, Bytes::from_static(body))
}

/// A link reads its file, without any other permission, until it expires; a changed link reads nothing.
pub async fn a_link_reads_one_file_until_it_expires(
    store: &MediaStore,
    send: impl AsyncFn(Request<Bytes>) -> (StatusCode, Bytes),
) {
    let (mine, other) = (key(), key());
    store.put(&mine, Bytes::from_static(b"mine")).await.unwrap();
    store.put(&other, Bytes::from_static(b"other")).await.unwrap();
    let get = async |url: &str| send(request(Method::GET, url, &[], Bytes::new())).await;
    let url = store.presign_get(&mine, LONG).await.unwrap();
    assert_eq!(get(&url).await, (StatusCode::OK, Bytes::from_static(b"mine")));

    let bare = url.split('?').next().unwrap();
    let signature = url.split("X-Amz-Signature=").nth(1).unwrap().split('&').next().unwrap();
    let forged = if signature.starts_with('0') { "1" } else { "0" };
    let expires = format!("X-Amz-Expires={}", LONG.as_secs());
    for (what, changed) in [
        ("no signature", bare.to_owned()),
        ("another signature", url.replace(signature, &format!("{forged}{}", &signature[1..]))),
        ("another file", url.replace(mine.as_str(), other.as_str())),
        ("another time", url.replace(&expires, "X-Amz-Expires=604800")),
    ] {
        assert_ne!(changed, url, "{what}");
        assert_eq!(get(&changed).await.0, StatusCode::FORBIDDEN, "{what}: {changed}");
    }
    assert_eq!(send(put_request(&PresignedPut { url, headers: vec![] }, ("", ""), b"x")).await.0, 403);

    let short = store.presign_get(&mine, Duration::from_secs(1)).await.unwrap();
    eventually("the link expires", async || (get(&short).await.0 == 403).then_some(())).await;
    for expires in [Duration::ZERO, Duration::from_secs(8 * 86_400)] {
        assert!(store.presign_get(&mine, expires).await.unwrap_err().is_invalid());
    }
}

/// A link puts one file of the signed length and type, once, until it expires.
pub async fn a_link_puts_one_file_as_it_was_signed(
    store: &MediaStore,
    send: impl AsyncFn(Request<Bytes>) -> (StatusCode, Bytes),
) {
    let key = key();
    let link = store.presign_put(&key, "image/jpeg", 5, LONG).await.unwrap();
    let elsewhere = PresignedPut {
        url: link.url.replace(key.as_str(), MediaKey::random("jpg").unwrap().as_str()),
        ..link.clone()
    };
    for (what, refused) in [
        ("longer", put_request(&link, ("", ""), b"longer")),
        ("shorter", put_request(&link, ("", ""), b"tiny")),
        ("another type", put_request(&link, ("content-type", "text/html"), b"right")),
        ("another file", put_request(&elsewhere, ("", ""), b"right")),
        ("no condition", {
            let mut request = put_request(&link, ("", ""), b"right");
            request.headers_mut().remove("if-none-match").expect("the condition is signed");
            request
        }),
    ] {
        assert_eq!(send(refused).await.0, StatusCode::FORBIDDEN, "{what}");
        assert_eq!(store.get(&key).await.unwrap(), None, "{what}");
    }
    assert_eq!(send(put_request(&link, ("", ""), b"right")).await.0, StatusCode::OK);
    assert_eq!(send(put_request(&link, ("", ""), b"other")).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(store.get(&key).await.unwrap().unwrap(), "right");

    // While the file exists, a valid link is answered 412, and an expired one 403.
    let short = store.presign_put(&key, "image/jpeg", 5, Duration::from_secs(1)).await.unwrap();
    let expired = async || (send(put_request(&short, ("", ""), b"later")).await.0 == 403).then_some(());
    eventually("the link expires", expired).await;
    assert_eq!(store.get(&key).await.unwrap().unwrap(), "right");
}
