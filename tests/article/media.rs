//! Photos in a store of their own, under keys that never change.

use std::collections::BTreeSet;

use super::{Row, SOON, State};
use crate::servers::ObjectStore;
use crate::{PhotoPost, Setup, eventually, photo};

pub(super) const ROW: Row = Row {
    name: "media",
    of_2011: "S3, CloudFront",
    here: "`media`: local files or S3, immutable keys, signed CDN links",
    state: State::InPart(|| Box::pin(prove()), "links signed for a CDN"),
};

/// What a phone's photo carries and nobody else may get.
const METADATA: [&[u8]; 4] = [b"Exif\0", b"GPS", b"http://ns.adobe.com/xap", b"ICC_PROFILE"];

async fn prove() -> String {
    let store = ObjectStore::start().await;
    let setup =
        store.variables().into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value));
    let server = setup.set("TRIPOD_MEDIA", store.url()).start().await;
    let kevin = server.person("kevin").await;
    let original = photo::of_phone();
    let contains = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    assert!(METADATA.iter().all(|part| contains(original, part)), "the photo has no metadata to remove");
    let mut urls = BTreeSet::new();
    let mut posts = Vec::new();
    for _ in 0..2 {
        let post = kevin.publish(&PhotoPost::of([original.to_vec()])).await.expect(201);
        let variants = post["photos"][0]["variants"].as_array().expect("a photo has variants");
        urls.extend(variants.iter().filter_map(|variant| variant["url"].as_str()).map(str::to_owned));
        posts.push(post);
    }
    assert_eq!(urls.len(), 6, "the same photo posted twice shares no key: {urls:?}");
    for url in &urls {
        let key = url.strip_prefix("/media/").and_then(|name| name.strip_suffix(".jpg"));
        let key = key.unwrap_or_else(|| panic!("{url} is not the address of a photo"));
        assert!(key.len() == 40 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{url} is not 160 bits");
        let file = kevin.get(&format!("~{url}")).await;
        assert_eq!(file.status, 200, "{url}");
        let caching = file.header("cache-control");
        assert!(caching.contains("immutable") && caching.contains("max-age=31536000"), "{caching}");
        assert!(
            METADATA.iter().all(|part| !contains(&file.bytes, part)),
            "{url} still has metadata of the phone"
        );
        image::load_from_memory(&file.bytes).expect("a file is a picture");
    }
    assert_eq!(store.keys().len(), urls.len(), "the original is kept somewhere");
    assert!(server.stored().await.files.is_empty(), "a file is kept beside the bucket");
    for post in &posts {
        kevin.delete(&format!("/posts/{}", post["id"].as_str().expect("an id"))).await.expect(204);
    }
    eventually("the objects are erased", SOON, async || store.keys().is_empty().then_some(())).await;
    format!(
        "A phone's photo of 4,000 x 3,000 pixels posted twice became {} objects of an S3 bucket under random keys of \
         160 bits, served as immutable for a year, without its EXIF, GPS, XMP and profile; the originals \
         were not kept; deleting the posts erased every object.",
        urls.len()
    )
}
