//! The media store on a bucket: the suites of the interface, and the faults that only a server has.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{Request, StatusCode};
use reqwest::Method;
use tripod::conformance;
use tripod::media::{MediaKey, MediaStore};
use tripod_tests::eventually;
use tripod_tests::servers::{Asked, Fault, ObjectStore};

use super::open;
use crate::SOON;

macro_rules! on_an_empty_bucket {
    ($($test:ident $(($send:ident))?),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let objects = ObjectStore::start().await;
                let store = open(&objects).await;
                conformance::media::$test(&store $(, $send)?).await;
                assert_eq!(objects.open_uploads(), 0);
            }
        )+
    };
}

on_an_empty_bucket!(
    what_is_put_is_got_until_it_is_deleted,
    to_put_again_is_harmless,
    what_is_absent_is_none,
    a_large_body_comes_back_whole,
    concurrent_puts_of_one_key_agree,
    a_link_reads_one_file_until_it_expires(send),
    a_link_puts_one_file_as_it_was_signed(send),
);

/// A client without any S3 support.
async fn send(request: Request<Bytes>) -> (StatusCode, Bytes) {
    let request = reqwest::Request::try_from(request).unwrap();
    let response = reqwest::Client::new().execute(request).await.unwrap();
    (response.status(), response.bytes().await.unwrap())
}

fn key() -> MediaKey {
    MediaKey::random("jpg").unwrap()
}

fn large() -> Bytes {
    vec![7; 20 * 1024 * 1024].into()
}

/// Chooses the first request that matches `of`.
fn first(of: impl Fn(&Asked) -> bool + Send + 'static) -> impl Fn(&Asked) -> bool + Send + 'static {
    let done = AtomicBool::new(false);
    move |asked| of(asked) && !done.swap(true, Ordering::Relaxed)
}

async fn is_kept(store: &MediaStore, key: &MediaKey, bytes: &Bytes) {
    assert!(store.get(key).await.unwrap().as_ref() == Some(bytes), "the stored bytes differ");
}

#[tokio::test]
async fn a_write_whose_reply_is_lost_has_succeeded() {
    let objects = ObjectStore::start().await;
    let store = open(&objects).await;
    let (small, whole) = (key(), key());
    objects.fail_when(Fault::LostReply, first(|asked| asked.method == Method::PUT));
    store.put(&small, Bytes::from_static(b"x")).await.unwrap();
    assert!(objects.requests() > 1, "the first was lost");
    is_kept(&store, &small, &Bytes::from_static(b"x")).await;
    // The reply to the last request of a multipart upload.
    objects.fail_when(
        Fault::LostReply,
        first(|asked| asked.method == Method::POST && asked.query.contains("uploadId")),
    );
    store.put(&whole, large()).await.unwrap();
    is_kept(&store, &whole, &large()).await;
    objects.fail_when(Fault::LostReply, first(|asked| asked.method == Method::DELETE));
    store.delete(&whole).await.unwrap();
    assert_eq!(store.get(&whole).await.unwrap(), None);
}

#[tokio::test]
async fn a_file_is_never_overwritten() {
    let objects = ObjectStore::start().await;
    let store = open(&objects).await;
    for (kept, other) in [
        (Bytes::from_static(b"kept"), Bytes::from_static(b"other")),
        (large(), {
            let mut longer = large().to_vec();
            longer.push(7);
            longer.into()
        }),
    ] {
        let key = key();
        store.put(&key, kept.clone()).await.unwrap();
        assert!(store.put(&key, other).await.unwrap_err().is_internal());
        is_kept(&store, &key, &kept).await;
    }
    assert_eq!(objects.open_uploads(), 0);
}

#[tokio::test]
async fn a_write_that_meets_another_is_begun_anew() {
    let objects = ObjectStore::start().await;
    let store = open(&objects).await;
    let key = key();
    objects.fail_when(Fault::Status(409), |asked| asked.number <= 2);
    store.put(&key, Bytes::from_static(b"x")).await.unwrap();
    assert_eq!(objects.requests(), 3);
    objects.fail_when(Fault::Status(409), |asked| asked.method == Method::PUT);
    assert!(store.put(&self::key(), Bytes::new()).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_server_without_conditional_writes_is_used_without() {
    let objects = ObjectStore::start().await;
    objects.fail_when(Fault::Status(501), |asked| asked.conditional);
    let store = open(&objects).await;
    for bytes in [Bytes::from_static(b"x"), large()] {
        let key = key();
        store.put(&key, bytes.clone()).await.unwrap();
        is_kept(&store, &key, &bytes).await;
    }
    let link = store.presign_put(&key(), "image/jpeg", 1, SOON).await.unwrap();
    assert!(link.headers.iter().all(|(name, _)| name != "if-none-match"), "{link:?}");
}

#[tokio::test]
async fn an_upload_that_fails_leaves_no_parts() {
    let objects = ObjectStore::start().await;
    let store = open(&objects).await;
    let second_part = |asked: &Asked| asked.query.contains("partNumber=2");
    objects.fail_when(Fault::Status(503), second_part);
    let error = store.put(&key(), large()).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("503 SlowDown"), "{error}");
    assert_eq!((objects.open_uploads(), objects.keys().len()), (0, 0));

    // An upload whose caller is gone does not stay open either.
    let begun = async {
        eventually("the upload is begun", SOON, async || (objects.open_uploads() == 1).then_some(())).await;
    };
    let key = key();
    tokio::select! {
        put = store.put(&key, large()) => panic!("it can't be done: {put:?}"),
        () = begun => {}
    }
    eventually("the upload is aborted", SOON, async || (objects.open_uploads() == 0).then_some(())).await;
    assert!(objects.keys().is_empty());
}

#[tokio::test]
async fn a_server_that_fails_is_asked_three_times_and_no_more() {
    let mut objects = ObjectStore::start().await;
    let store = open(&objects).await;
    let kept = key();
    store.put(&kept, Bytes::from_static(b"x")).await.unwrap();
    for status in [500, 503] {
        objects.fail(Fault::Status(status));
        let error = store.put(&key(), Bytes::from_static(b"x")).await.unwrap_err();
        assert!(error.is_unavailable() && error.to_string().contains(&status.to_string()), "{error}");
        assert_eq!(objects.requests(), 3);
        let got = store.get(&kept).await.unwrap_err();
        assert!(got.is_unavailable(), "an unreadable object counts as absent: {got}");
        assert_eq!(objects.requests(), 6);
        assert!(store.delete(&kept).await.unwrap_err().is_unavailable());
        assert!(store.check().await.unwrap_err().is_unavailable());
        objects.fail_when(Fault::Status(status), |asked| asked.number <= 2);
        is_kept(&store, &kept, &Bytes::from_static(b"x")).await;
    }
    objects.heal();
    objects.stop().await;
    assert!(store.get(&kept).await.unwrap_err().is_unavailable());
    assert!(store.check().await.unwrap_err().is_unavailable());
    objects.resume().await;
    is_kept(&store, &kept, &Bytes::from_static(b"x")).await;
    store.check().await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_not_waited_for() {
    let objects = ObjectStore::start().await;
    let store = open(&objects).await;
    objects.fail(Fault::Hang);
    let (key, bytes) = (key(), Bytes::from_static(b"x"));
    futures::join!(
        is_away("put", 20, store.put(&key, bytes)),
        is_away("get", 20, store.get(&key)),
        is_away("delete", 20, store.delete(&key)),
        is_away("check", 6, store.check()),
    );
}

/// Asserts that a call fails within this many seconds, because the store does not respond.
async fn is_away<T: Debug>(what: &str, seconds: u64, call: impl Future<Output = tripod::Result<T>>) {
    let begun = Instant::now();
    let error = call.await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("does not answer"), "{what}: {error}");
    assert!(begun.elapsed() < Duration::from_secs(seconds), "{what}: {:?}", begun.elapsed());
}
