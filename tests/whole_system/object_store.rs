//! The service with its photos in a bucket: each test starts a real S3 server that can be made to fail.

mod failures;
mod opening;
mod store;

use std::collections::BTreeSet;

use serde_json::Value;
use tripod::media::{MediaKey, MediaStore};
use tripod_tests::servers::ObjectStore;
use tripod_tests::{Api, PhotoPost, Reply, Setup, eventually, photo};

use crate::SOON;

/// The service on embedded databases, with its photos at `url`.
fn setup(store: &ObjectStore, url: &str) -> Setup {
    let setup = Setup::default().set("TRIPOD_MEDIA", url);
    store.variables().into_iter().fold(setup, |setup, (name, value)| setup.set(name, value))
}

async fn open(store: &ObjectStore) -> MediaStore {
    MediaStore::open_with(&store.url(), |name| store.variable(name)).await.unwrap()
}

/// The addresses of all renditions of a post's photos.
fn renditions(post: &Value) -> Vec<String> {
    let photos = post["photos"].as_array().unwrap().iter();
    let variants = photos.flat_map(|photo| photo["variants"].as_array().unwrap());
    variants.map(|variant| variant["url"].as_str().unwrap().to_owned()).collect()
}

fn keys(posts: &[Value]) -> BTreeSet<String> {
    posts.iter().flat_map(crate::media_keys).collect()
}

async fn rendition(api: &Api, url: &str) -> Reply {
    api.get(&format!("~{url}")).await
}

#[tokio::test]
async fn photos_are_in_the_bucket_until_their_post_is_deleted() {
    let objects = ObjectStore::start().await;
    let server = setup(&objects, &objects.url()).start().await;
    assert!(objects.keys().is_empty(), "the probe is gone");
    let kevin = server.person("kevin").await;
    let photos = [photo::jpeg(1_300, 900, 1), photo::jpeg(640, 480, 2)];
    let first = kevin.publish(&PhotoPost::of(photos).caption("two")).await.expect(201);
    let second = kevin.post_photo("one").await;
    let posts = [first, second];
    assert_eq!(objects.keys(), keys(&posts));
    for url in posts.iter().flat_map(renditions) {
        let reply = rendition(&server.api(), &url).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "image/jpeg"), "{url}");
        assert!(reply.bytes.starts_with(&[0xff, 0xd8]) && reply.bytes.ends_with(&[0xff, 0xd9]), "{url}");
    }
    assert!(!server.data().join("media").exists(), "nothing is in a directory");

    let key = MediaKey::parse(keys(&posts).first().unwrap()).unwrap();
    let link = open(&objects).await.presign_get(&key, SOON).await.unwrap();
    let direct = Reply::to(reqwest::Client::new().get(link)).await;
    assert_eq!((direct.status, direct.header("content-type")), (200, "image/jpeg"));
    assert!(direct.header("cache-control").contains("immutable"), "{:?}", direct.headers);

    let [first, second] = posts;
    kevin.delete(&format!("/posts/{}", first["id"].as_str().unwrap())).await.expect(204);
    let kept = keys(std::slice::from_ref(&second));
    eventually("the objects go", SOON, async || (objects.keys() == kept).then_some(())).await;
    assert_eq!(rendition(&server.api(), &renditions(&first)[0]).await.status, 404);
    assert_eq!(rendition(&server.api(), &renditions(&second)[0]).await.status, 200);
}

#[tokio::test]
async fn a_prefix_keeps_services_in_one_bucket_apart() {
    let objects = ObjectStore::start().await;
    let (a, b) = (objects.url_of("photos/of/a"), objects.url_of("photos/b"));
    let (a, b) = (setup(&objects, &a).start().await, setup(&objects, &b).start().await);
    let (kevin, mike) = (a.person("kevin").await, b.person("mike").await);
    let (of_a, of_b) = (kevin.post_photo("a").await, mike.post_photo("b").await);
    let under = |prefix: &str, post: &Value| {
        keys(std::slice::from_ref(post)).iter().map(|key| format!("{prefix}{key}")).collect::<BTreeSet<_>>()
    };
    assert_eq!(objects.keys(), &under("of/a/", &of_a) | &under("b/", &of_b));
    assert_eq!(rendition(&a.api(), &renditions(&of_a)[0]).await.status, 200);
    assert_eq!(rendition(&a.api(), &renditions(&of_b)[0]).await.status, 404);
}
