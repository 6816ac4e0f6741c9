//! Clients that send a request and hang up before the reply: each request takes effect completely or not
//! at all, and ready timelines agree with the stored data.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tripod_tests::{Person, Server, Stored, eventually, photo};

use crate::product_path::ids;

/// The step between the moments at which successive clients hang up.
const STEP: Duration = Duration::from_micros(400);

/// Sends a complete request, waits for a moment and hangs up.
async fn hang_up(server: &Server, by: &Person, request: &str, content: (&str, &[u8]), moment: u32) {
    let (kind, body) = content;
    let token = by.token().expect("a person has a token");
    let head = format!(
        "{request} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: {kind}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    socket.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    tokio::time::sleep(STEP * moment).await;
}

/// The stored data once nothing has changed for a while.
async fn settled(server: &Server) -> Stored {
    let mut stored = server.stored().await;
    eventually("nothing changes any longer", crate::SOON, async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = std::mem::replace(&mut stored, server.stored().await);
        (before == stored && stored.count("tripod_job") == 0).then(|| stored.clone())
    })
    .await
}

#[tokio::test]
async fn an_upload_leaves_a_post_with_its_file_or_neither() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    for moment in 0..60 {
        let photo = photo::jpeg(64, 48, moment);
        let part = b"--x\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n";
        let body = [part, &photo[..], b"\r\n--x--\r\n"].concat();
        let content = ("multipart/form-data; boundary=x", &body[..]);
        hang_up(&server, &kevin, "POST /api/v1/posts", content, moment).await;
    }
    let stored = settled(&server).await;
    let (posts, files) = (stored.count("post"), stored.files.len());
    println!("{posts} posts and {files} files of 60 clients who hung up");
    assert_eq!(posts, files, "the posts and the files do not match");
    assert_eq!(kevin.get("/me").await.expect(200)["counts"]["posts"], posts);
    assert_eq!(kevin.feed().await.len(), posts);
}

#[tokio::test]
async fn an_avatar_is_set_with_its_file_or_not_at_all() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    for moment in 0..60 {
        let photo = photo::jpeg(64, 48, moment);
        hang_up(&server, &kevin, "PUT /api/v1/me/avatar", ("image/jpeg", &photo), moment).await;
    }
    let stored = settled(&server).await;
    let shown = kevin.get("/me").await.expect(200)["avatar_url"].clone();
    println!("{} files of 60 clients who hung up; {shown} is shown", stored.files.len());
    assert_eq!(stored.files.len(), usize::from(shown.is_string()), "only the last avatar's file is left");
}

#[tokio::test]
async fn a_follow_or_unfollow_that_counts_is_in_the_feed() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = mike.post_photo("x").await;
    crate::idle(&server).await;
    let mut followed = 0;
    for moment in 0..40 {
        // The feed is kept ready from here on.
        kevin.feed().await;
        let method = if moment % 2 == 0 { "PUT" } else { "DELETE" };
        let request = format!("{method} /api/v1/users/{}/follow", mike.id);
        hang_up(&server, &kevin, &request, ("text/plain", b""), moment / 2).await;
        settled(&server).await;
        let user = kevin.get(&format!("/users/{}", mike.id)).await.expect(200);
        let follows = user["relationship"]["following"] == true;
        followed += u32::from(follows);
        let feed = kevin.feed().await;
        let expected = if follows { ids(std::slice::from_ref(&post)) } else { vec![] };
        assert_eq!(ids(&feed), expected, "after {method} number {moment}, following is {follows}");
    }
    println!("{followed} of 40 times he followed");
}
