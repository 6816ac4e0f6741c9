//! Saved posts: a list that only its owner sees.

use serde_json::{Value, json};
use tripod_tests::{Person, Server};

use super::{id, ids};

async fn save(person: &Person, post: &Value) {
    person.put(&format!("/posts/{}/save", id(post))).await.expect(204);
}

async fn saved(person: &Person) -> Vec<Value> {
    person.walk("/me/saved", 100).await
}

#[tokio::test]
async fn saved_posts_are_listed_by_when_they_were_saved_and_repeats_change_nothing() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let (first, second) = (kevin.post_photo("first").await, mike.post_photo("second").await);
    assert!(saved(&mike).await.is_empty());
    save(&mike, &second).await;
    for _ in 0..3 {
        save(&mike, &first).await;
    }
    save(&mike, &second).await;
    let list = saved(&mike).await;
    assert_eq!(ids(&list), ids(&[first.clone(), second.clone()]), "not each post once, last saved first");
    assert!(list.iter().all(|post| post["viewer"] == json!({"liked": false, "saved": true})), "{list:?}");

    let unsave = format!("/posts/{}/save", id(&first));
    for _ in 0..3 {
        mike.delete(&unsave).await.expect(204);
        assert_eq!(ids(&saved(&mike).await), [id(&second)]);
    }
    mike.delete(&format!("/posts/{}/save", id(&second))).await.expect(204);
    save(&mike, &first).await;
    save(&mike, &second).await;
    assert_eq!(ids(&saved(&mike).await), ids(&[second, first]), "a post that was saved again is not first");
}

#[tokio::test]
async fn every_shape_of_a_post_says_whether_you_saved_it_and_nothing_tells_others() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    mike.follow(&kevin).await;
    let (post, other) = (kevin.post_photo("save me").await, kevin.post_photo("not me").await);
    let path = format!("/posts/{}", id(&post));
    let before = kevin.get(&path).await.expect(200);
    save(&mike, &post).await;
    mike.put(&format!("{path}/like")).await.expect(204);
    mike.delete(&format!("{path}/like")).await.expect(204);

    let theirs = format!("/users/{}/posts", kevin.id);
    for list in ["/feed", "/explore", theirs.as_str()] {
        for found in mike.walk(list, 100).await {
            assert_eq!(found["viewer"]["saved"], id(&found) == id(&post), "{list}: {found}");
        }
        if list != "/feed" {
            let strangers = server.api().walk(list, 100).await;
            assert!(strangers.iter().all(|post| post["viewer"].is_null()), "{list}: {strangers:?}");
        }
    }
    assert_eq!(mike.get(&path).await.expect(200)["viewer"], json!({"liked": false, "saved": true}));
    assert_eq!(mike.get(&format!("/posts/{}", id(&other))).await.expect(200)["viewer"]["saved"], false);
    assert_eq!(kevin.get(&path).await.expect(200), before, "the author sees who saved the post");
    assert!(saved(&kevin).await.is_empty(), "another account's saved posts are listed");
    server.api().get("/me/saved").await.problem(401);
}

#[tokio::test]
async fn only_who_is_logged_in_saves_and_only_what_is_there() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let path = format!("/posts/{}/save", id(&post));
    server.api().put(&path).await.problem(401);
    server.api().delete(&path).await.problem(401);
    kevin.put("/posts/1/save").await.problem(404);
    kevin.delete("/posts/1/save").await.problem(404);
    kevin.delete(&path).await.expect(204);
    crate::idle(&server).await;
    assert!(server.stored().await.edges().is_empty());
}

#[tokio::test]
async fn saves_go_with_the_post_and_with_the_account() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let (gone, kept) = (kevin.post_photo("goes").await, kevin.post_photo("stays").await);
    let theirs = mike.post_photo("of mike").await;
    for post in [&gone, &theirs, &kept] {
        save(&mike, post).await;
    }
    save(&kevin, &theirs).await;
    kevin.delete(&format!("/posts/{}", id(&gone))).await.expect(204);
    assert_eq!(
        ids(&saved(&mike).await),
        [id(&kept), id(&theirs)],
        "a deleted post is listed until the job runs"
    );
    mike.put(&format!("/posts/{}/save", id(&gone))).await.problem(404);
    crate::idle(&server).await;
    let stored = server.stored().await;
    let edges = stored.edges();
    assert!(edges.iter().all(|edge| !edge.contains(id(&gone))), "{edges:?}");
    assert_eq!(edges.len(), 6, "three saves, two ends each: {edges:?}");

    mike.delete("/me").await.expect(204);
    assert!(saved(&kevin).await.is_empty(), "a deleted post is listed until the job runs");
    crate::idle(&server).await;
    let stored = server.stored().await;
    assert_eq!((stored.count("post"), stored.edges()), (1, vec![]));
}

#[tokio::test]
async fn fifty_toggles_at_once_leave_both_ends_agreeing() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.post_photo("toggle me").await;
    let path = format!("/posts/{}/save", id(&post));
    let toggles = (0..50).map(async |n| {
        let reply = if n % 2 == 0 { mike.put(&path).await } else { mike.delete(&path).await };
        reply.expect(204);
    });
    futures::future::join_all(toggles).await;
    crate::idle(&server).await;
    let listed = saved(&mike).await.len();
    let shown = mike.get(&format!("/posts/{}", id(&post))).await.expect(200)["viewer"]["saved"].clone();
    assert_eq!((shown, server.stored().await.edges().len()), (json!(listed == 1), 2 * listed));
}
