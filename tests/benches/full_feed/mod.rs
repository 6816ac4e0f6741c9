//! A reader whose home feed is full, for the benches that read it.

use std::time::Duration;

use tripod_tests::{Person, Server, eventually};

/// Authors that the reader follows on each of the two databases.
pub const AUTHORS_OF_EACH_DATABASE: usize = 5;
/// Posts of a page.
pub const PAGE: usize = 20;
const POSTS_OF_EACH_AUTHOR: usize = 3;

/// Somebody who follows ten authors, half of them on each database, whose posts have arrived.
pub async fn fill(server: &Server) -> Person {
    let reader = server.person("reader").await;
    let mut authors: [Vec<Person>; 2] = Default::default();
    while authors.iter().any(|authors| authors.len() < AUTHORS_OF_EACH_DATABASE) {
        let person = server.person("author").await;
        let of_database = &mut authors[person.database()];
        if of_database.len() < AUTHORS_OF_EACH_DATABASE {
            of_database.push(person);
        }
    }
    let authors: Vec<Person> = authors.into_iter().flatten().collect();
    for author in &authors {
        reader.follow(author).await;
    }
    for number in 1..=POSTS_OF_EACH_AUTHOR {
        for author in &authors {
            author.post_photo(&format!("Photo {number}, seen from the harbour at noon.")).await;
        }
    }
    let posts = authors.len() * POSTS_OF_EACH_AUTHOR;
    eventually("every post has arrived in the feed", Duration::from_secs(30), async || {
        (reader.feed().await.len() == posts).then_some(())
    })
    .await;
    reader
}
