//! Tests of the whole system: the built program as a process, used over HTTP like any client does.
//!
//! Each test starts its own server with a temporary data directory, so that tests run concurrently.
//! `INSTACLONE_BIN` selects another binary to test.

mod article;
mod bad_input;
mod browser;
mod certificates;
mod clients;
mod conformance;
mod crash;
mod databases;
mod demo;
mod edges;
mod erasure;
mod hang_up;
mod hostile;
mod idempotency;
mod indexes;
mod jobs;
mod limits;
mod nginx;
mod object_store;
mod output;
mod pages;
mod permissions;
mod product_path;
mod servers;
mod shared;
mod single_flight;
mod startup;
mod tidy;

use std::time::Duration;

use reqwest::Method;
use tripod_tests::{Api, Reply, Server, eventually};

/// How long work after a reply may take: a job, a fan-out.
const SOON: Duration = Duration::from_secs(30);

/// Waits until a media file is no longer served. Asks with HEAD, since a body is cut short if its file is
/// erased while it is sent.
async fn gone(api: &Api, url: &str) {
    let path = format!("~{url}");
    eventually("the file is erased", SOON, async || {
        (Reply::to(api.request(Method::HEAD, &path)).await.status == 404).then_some(())
    })
    .await;
}

/// The keys of all files of a post's photos.
fn media_keys(post: &serde_json::Value) -> Vec<String> {
    let photos = post["photos"].as_array().expect("a post has photos").iter();
    let variants = photos.flat_map(|photo| photo["variants"].as_array().expect("a photo has variants"));
    let key = |url: &str| url.rsplit('/').next().expect("an address has a last part").to_owned();
    variants.map(|variant| key(variant["url"].as_str().expect("an address"))).collect()
}

/// Waits until no job is left, and names the remaining ones if that takes too long.
async fn idle(server: &Server) {
    idle_within(server, SOON).await;
}

async fn idle_within(server: &Server, deadline: Duration) {
    let (begun, mut left) = (std::time::Instant::now(), Vec::new());
    while begun.elapsed() < deadline {
        left = server.stored().await.tables["tripod_job"].clone();
        if left.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("jobs are left after {deadline:?}: {left:#?}");
}
