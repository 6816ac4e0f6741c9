//! Redis and the bucket over TLS: certificates are checked, and unknown authorities are refused.

use tripod_tests::servers::{ObjectStore, Redis, TlsFront};
use tripod_tests::{Setup, photo};

use crate::startup::refused;

#[tokio::test]
async fn redis_over_tls_must_prove_who_it_is() {
    let redis = Redis::start().await;
    let front = TlsFront::to(&redis.address()).await;
    let setup = || Setup::embedded().set("TRIPOD_REDIS", format!("rediss://{}", front.address()));
    let nowhere = tempfile::tempdir().unwrap();
    refused(setup(), nowhere.path(), &[&front.address(), "certificate", "TRIPOD_REDIS"]).await;
    // There is no fallback to an unencrypted connection if the server does not speak TLS.
    let plain = Setup::embedded().set("TRIPOD_REDIS", format!("rediss://{}", redis.address()));
    refused(plain, nowhere.path(), &[&redis.address(), "TRIPOD_REDIS"]).await;

    let service = setup().set("SSL_CERT_FILE", front.authority().display()).start().await;
    let person = service.person("somebody").await;
    assert_eq!(person.get("~/readyz").await.expect(200)["redis"], true);
    person.get("/me").await.expect(200);
    assert_ne!(redis.ask::<usize>(&["DBSIZE"]).await, 0, "Redis is not used");
}

#[tokio::test]
async fn a_bucket_over_tls_must_prove_who_it_is() {
    let objects = ObjectStore::start().await;
    let front = TlsFront::to(objects.endpoint().trim_start_matches("http://")).await;
    let url = objects.url().replace(&objects.endpoint(), &format!("https://{}", front.address()));
    let setup = || {
        let setup = Setup::embedded().set("TRIPOD_MEDIA", &url);
        objects.variables().into_iter().fold(setup, |setup, (name, value)| setup.set(name, value))
    };
    let nowhere = tempfile::tempdir().unwrap();
    refused(setup(), nowhere.path(), &[&front.address(), "certificate", "TRIPOD_MEDIA"]).await;

    let service = setup().set("SSL_CERT_FILE", front.authority().display()).start().await;
    let person = service.person("somebody").await;
    let post = person.post_photo("over TLS").await;
    assert_eq!(objects.keys().len(), crate::media_keys(&post).len());
    assert!(
        person
            .get(&format!("~{}", post["photos"][0]["url"].as_str().unwrap()))
            .await
            .bytes
            .starts_with(&photo::small()[..2])
    );
}
