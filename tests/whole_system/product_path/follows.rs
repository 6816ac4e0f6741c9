//! Following and unfollowing, with the counts and lists at both ends.

use serde_json::{Value, json};
use tripod_tests::{Person, Server};

use super::{assert_author, ids};

async fn relationship(viewer: &Person, of: &Person) -> Value {
    viewer.get(&format!("/users/{}", of.id)).await.expect(200)["relationship"].clone()
}

async fn counts(of: &Person) -> (i64, i64) {
    let counts = of.get("/me").await.expect(200)["counts"].clone();
    (counts["followers"].as_i64().unwrap(), counts["following"].as_i64().unwrap())
}

#[tokio::test]
async fn a_follow_is_seen_at_both_ends_and_repeats_change_nothing() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let follow = format!("/users/{}/follow", mike.id);
    for _ in 0..3 {
        kevin.put(&follow).await.expect(204);
        assert_eq!((counts(&kevin).await, counts(&mike).await), ((0, 1), (1, 0)));
    }
    let seen = relationship(&kevin, &mike).await;
    assert_eq!((&seen["following"], &seen["followed_by"]), (&json!(true), &json!(false)));
    let seen = relationship(&mike, &kevin).await;
    assert_eq!((&seen["following"], &seen["followed_by"]), (&json!(false), &json!(true)));

    let followers = server.api().walk(&format!("/users/{}/followers", mike.id), 100).await;
    let following = server.api().walk(&format!("/users/{}/following", kevin.id), 100).await;
    followers.iter().chain(&following).for_each(assert_author);
    assert_eq!((ids(&followers), ids(&following)), (vec![kevin.id.as_str()], vec![mike.id.as_str()]));

    for _ in 0..3 {
        kevin.delete(&follow).await.expect(204);
        assert_eq!((counts(&kevin).await, counts(&mike).await), ((0, 0), (0, 0)));
    }
    assert!(server.api().walk(&format!("/users/{}/followers", mike.id), 100).await.is_empty());
    assert_eq!(relationship(&kevin, &mike).await["following"], false);
}

#[tokio::test]
async fn nobody_follows_themselves_or_somebody_who_is_not_there() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    kevin.put(&format!("/users/{}/follow", kevin.id)).await.problem(422);
    kevin.put("/users/1/follow").await.problem(404);
    server.api().put(&format!("/users/{}/follow", kevin.id)).await.problem(401);
    assert_eq!(counts(&kevin).await, (0, 0));
}

#[tokio::test]
async fn a_hundred_toggles_at_once_leave_counts_that_equal_the_lists() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let follow = format!("/users/{}/follow", mike.id);
    let toggles = (0..100).map(async |n| {
        let reply = if n % 2 == 0 { kevin.put(&follow).await } else { kevin.delete(&follow).await };
        reply.expect(204);
    });
    futures::future::join_all(toggles).await;
    crate::idle(&server).await;
    let following = kevin.walk(&format!("/users/{}/following", kevin.id), 100).await.len() as i64;
    let followers = kevin.walk(&format!("/users/{}/followers", mike.id), 100).await.len() as i64;
    assert_eq!(following, followers, "both ends say the same");
    assert_eq!((counts(&kevin).await, counts(&mike).await), ((0, following), (followers, 0)));
    assert_eq!(relationship(&kevin, &mike).await["following"], following == 1);
}
