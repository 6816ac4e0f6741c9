//! A bucket that can't be used is an error at start, which names it and says what to do.

use reqwest::Method;
use tripod_tests::Setup;
use tripod_tests::servers::{Asked, Fault, ObjectStore};

use super::setup;
use crate::startup::refused;

async fn is_refused(setup: Setup, says: &[&str]) {
    refused(setup, tempfile::tempdir().unwrap().path(), says).await;
}

#[tokio::test]
async fn a_wrong_address_or_key_is_refused() {
    let objects = ObjectStore::start().await;
    let (url, endpoint) = (objects.url(), objects.endpoint());
    for (url, says) in [
        ("s3://?region=us-east-1".to_owned(), "names no bucket"),
        (format!("{url}&bukcet=x"), "\"bukcet\""),
        ("s3://photos?endpoint=nowhere".to_owned(), "\"nowhere\""),
    ] {
        is_refused(setup(&objects, &url), &[says, "TRIPOD_MEDIA", "s3://bucket/prefix?endpoint="]).await;
    }
    let absent = objects.url_of("nothing-here");
    let says = ["no bucket nothing-here", &endpoint, "create it", "TRIPOD_MEDIA"];
    is_refused(setup(&objects, &absent), &says).await;
    let keyless = setup(&objects, &url).set("AWS_SECRET_ACCESS_KEY", "");
    is_refused(keyless, &["bucket photos", "AWS_SECRET_ACCESS_KEY is not set"]).await;
    for (name, code) in
        [("AWS_SECRET_ACCESS_KEY", "SignatureDoesNotMatch"), ("AWS_ACCESS_KEY_ID", "NotSignedUp")]
    {
        let wrong = setup(&objects, &url).set(name, "wrong");
        is_refused(wrong, &["bucket photos", &endpoint, code, "AWS_ACCESS_KEY_ID", "anew"]).await;
    }
}

#[tokio::test]
async fn a_bucket_that_may_not_be_used_is_refused_with_the_missing_permission() {
    let objects = ObjectStore::start().await;
    type Chosen = fn(&Asked) -> bool;
    let denied: [(Chosen, &str); 4] = [
        (|asked| asked.query.contains("list-type"), "s3:ListBucket"),
        (|asked| asked.method == Method::PUT, "s3:PutObject"),
        (|asked| asked.method == Method::GET && !asked.query.contains("list-type"), "s3:GetObject"),
        (|asked| asked.method == Method::DELETE, "s3:DeleteObject"),
    ];
    for (chosen, permission) in denied {
        objects.fail_when(Fault::Status(403), chosen);
        let says = ["bucket photos", &objects.endpoint(), "give it", permission, "TRIPOD_MEDIA"];
        is_refused(setup(&objects, &objects.url()), &says).await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_refused() {
    let mut objects = ObjectStore::start().await;
    let says = [&objects.endpoint(), "bucket photos", "does not answer", "start it", "TRIPOD_MEDIA"];
    objects.fail(Fault::Hang);
    is_refused(setup(&objects, &objects.url()), &says).await;
    objects.stop().await;
    is_refused(setup(&objects, &objects.url()), &says).await;
    objects.resume().await;
    objects.fail(Fault::Status(500));
    let says = [&objects.endpoint(), "bucket photos", "500 InternalError"];
    is_refused(setup(&objects, &objects.url()), &says).await;
    objects.heal();
    setup(&objects, &objects.url()).start().await;
}
