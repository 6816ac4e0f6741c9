//! The feed and explore: whose posts they contain, in which order, and when posts appear and disappear.

use serde_json::Value;
use tripod_tests::{Person, Server, Setup};

use super::{id, ids};

/// Waits until the fan-out has brought this many posts into a feed.
async fn feed_of(person: &Person, posts: usize) -> Vec<Value> {
    tripod_tests::eventually("the feed has every post", crate::SOON, async || {
        Some(person.feed().await).filter(|feed| feed.len() == posts)
    })
    .await
}

#[tokio::test]
async fn a_feed_holds_ones_own_posts_and_those_of_the_followed_newest_first() {
    let server = Server::start().await;
    let (kevin, mike, stranger) =
        (server.person("kevin").await, server.person("mike").await, server.person("stranger").await);
    let early = mike.post_photo("before the follow").await;
    assert!(kevin.feed().await.is_empty());
    kevin.follow(&mike).await;
    assert_eq!(ids(&kevin.feed().await), [id(&early)], "a follow does not bring in earlier posts");

    stranger.post_photo("not for kevin").await;
    let own = kevin.post_photo("own").await;
    let later = mike.post_photo("after the follow").await;
    let feed = feed_of(&kevin, 3).await;
    assert_eq!(ids(&feed), ids(&[later.clone(), own.clone(), early.clone()]));
    assert_eq!(ids(&feed_of(&mike, 2).await), ids(&[later, early]));

    kevin.delete(&format!("/users/{}/follow", mike.id)).await.expect(204);
    assert_eq!(ids(&kevin.feed().await), ids(&[own]), "an unfollow does not remove the posts");
    server.api().get("/feed").await.problem(401);
}

#[tokio::test]
async fn explore_is_everybodys_newest_across_both_databases() {
    let server = Server::start().await;
    let mut people = Vec::new();
    while people.len() < 5 || (0..2).any(|n| people.iter().all(|person: &Person| person.database() != n)) {
        people.push(server.person("p").await);
    }
    let mut posts = Vec::new();
    for round in 0..3 {
        for person in &people {
            posts.push(person.post_photo(&format!("round {round}")).await);
        }
    }
    posts.reverse();
    assert_eq!(ids(&server.api().walk("/explore", 100).await), ids(&posts));
    assert_eq!(ids(&server.api().walk("/explore", 4).await), ids(&posts));
}

#[tokio::test]
async fn a_feed_goes_on_below_what_is_kept_ready_and_takes_in_authors_who_are_pulled() {
    let server = Setup::default()
        .set("TRIPOD_TIMELINE__LENGTH", 3)
        .set("TRIPOD_TIMELINE__PULL_ABOVE", 1)
        .start()
        .await;
    let (kevin, star, friend) =
        (server.person("kevin").await, server.person("star").await, server.person("friend").await);
    let fan = server.person("fan").await;
    kevin.follow(&friend).await;
    kevin.follow(&star).await;
    fan.follow(&star).await;
    kevin.feed().await;
    let mut posts = Vec::new();
    for round in 0..5 {
        posts.push(star.post_photo(&format!("star {round}")).await);
        posts.push(friend.post_photo(&format!("friend {round}")).await);
    }
    posts.reverse();
    assert_eq!(ids(&feed_of(&kevin, 10).await), ids(&posts));
    assert_eq!(ids(&kevin.walk("/feed", 3).await), ids(&posts));
    assert_eq!(feed_of(&fan, 5).await.len(), 5);
}

#[tokio::test]
async fn feeds_are_the_same_after_a_restart() {
    let mut server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    kevin.follow(&mike).await;
    for n in 0..5 {
        mike.post_photo(&format!("{n}")).await;
        kevin.post_photo(&format!("{n}")).await;
    }
    let before = feed_of(&kevin, 10).await;
    assert!(server.terminate().await.success());
    server.restart().await;
    assert_eq!(kevin.feed().await, before);
}
