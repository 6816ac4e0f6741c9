//! Processed photos: three upright renditions in the original's shape, without metadata.

use serde_json::Value;
use tripod_tests::{PhotoPost, Server, photo};

/// The start of each kind of metadata that a photo may contain.
const METADATA: [&[u8]; 6] =
    [b"Exif\0", b"GPS", b"ICC_PROFILE", b"http://ns.adobe.com/xap", b"xmpmeta", b"secret"];

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn size(value: &Value) -> (u32, u32) {
    let side = |name: &str| value[name].as_u64().and_then(|side| u32::try_from(side).ok()).unwrap();
    (side("width"), side("height"))
}

#[tokio::test]
async fn a_phones_photo_becomes_three_upright_renditions_without_metadata() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let original = photo::of_phone();
    for part in METADATA {
        assert!(
            contains(original, part),
            "the photo is no test: it lacks {:?}",
            String::from_utf8_lossy(part)
        );
    }
    let post = kevin.publish(&PhotoPost::of([original.to_vec()])).await.expect(201);
    let photo = &post["photos"][0];
    assert_eq!(size(photo), (1080, 1440), "4,000 x 3,000 lying on its side is 3:4");
    assert!(photo["placeholder"].as_str().unwrap().starts_with("data:image/"));
    let variants = photo["variants"].as_array().unwrap();
    let widths: Vec<u32> = variants.iter().map(|variant| size(variant).0).collect();
    assert_eq!(widths, [1080, 640, 320]);
    assert_eq!(photo["url"], variants[0]["url"]);

    for variant in variants {
        let file = kevin.get(&format!("~{}", variant["url"].as_str().unwrap())).await;
        assert_eq!((file.status, file.header("content-type")), (200, "image/jpeg"));
        let caching = file.header("cache-control");
        assert!(caching.contains("immutable") && caching.contains("max-age=31536000"), "{caching}");
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        for part in METADATA {
            assert!(!contains(&file.bytes, part), "{:?} is left", String::from_utf8_lossy(part));
        }
        let pixels = image::load_from_memory(&file.bytes).unwrap().into_rgb8();
        let (width, height) = size(variant);
        assert_eq!(pixels.dimensions(), (width, height), "the reply says the file's size");
        assert!((f64::from(height) / f64::from(width) - 4.0 / 3.0).abs() < 0.01, "{width} x {height}");
        let is_red = |x: u32, y: u32| pixels.get_pixel(x, y)[0] > pixels.get_pixel(x, y)[2];
        let (left, right, top, bottom) = (width / 4, width * 3 / 4, height / 4, height * 3 / 4);
        let corners = [is_red(left, top), is_red(right, top), is_red(left, bottom), is_red(right, bottom)];
        assert_eq!(corners, [false, true, false, false], "it is not upright");
    }
    let stored = server.stored().await;
    assert_eq!(stored.files.len(), 3, "the original is not kept");
}

#[tokio::test]
async fn png_and_webp_are_taken_and_small_photos_are_not_blown_up() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let photos = [photo::png(700, 350), photo::webp(200, 300), photo::jpeg(2_000, 100, 1)];
    let post = kevin.publish(&PhotoPost::of(photos)).await.expect(201);
    let sizes: Vec<Vec<(u32, u32)>> = post["photos"]
        .as_array()
        .unwrap()
        .iter()
        .map(|photo| photo["variants"].as_array().unwrap().iter().map(size).collect())
        .collect();
    assert_eq!(sizes[0], [(700, 350), (640, 320), (320, 160)]);
    assert_eq!(sizes[1], [(200, 300)]);
    assert_eq!(sizes[2], [(1080, 54), (640, 32), (320, 16)]);
    for photo in post["photos"].as_array().unwrap() {
        let file = kevin.get(&format!("~{}", photo["url"].as_str().unwrap())).await;
        assert!(file.bytes.starts_with(b"\xff\xd8\xff"), "everything is served as JPEG");
    }
}

#[tokio::test]
async fn a_media_address_that_is_none_is_404() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("real").await;
    let url = post["photos"][0]["url"].as_str().unwrap();
    for bad in
        ["/media/..%2f..%2fshard-0.db", "/media/x.jpg", &url.replace(".jpg", ".png"), &format!("{url}x")]
    {
        kevin.get(&format!("~{bad}")).await.problem(404);
    }
}
