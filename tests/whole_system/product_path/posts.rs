//! Posts, likes and comments: shapes, counts, who may do what, and deletion.

use serde_json::{Value, json};
use tripod_tests::{PhotoPost, Server, photo};

use super::{assert_author, assert_time, fields, id, ids};

fn assert_post(post: &Value) {
    let texts =
        ["audience", "author", "caption", "comments_from", "counts", "created_at", "entities", "filter"];
    assert_eq!(fields(post), [texts.as_slice(), &["id", "location", "photos", "viewer"]].concat());
    assert_author(&post["author"]);
    assert_eq!(fields(&post["counts"]), ["comments", "likes"]);
    assert_time(&post["created_at"]);
    for photo in post["photos"].as_array().unwrap() {
        assert_eq!(fields(photo), ["alt", "height", "placeholder", "url", "variants", "width"]);
        for variant in photo["variants"].as_array().unwrap() {
            assert_eq!(fields(variant), ["height", "url", "width"]);
        }
    }
}

#[tokio::test]
async fn a_post_has_one_to_ten_photos_and_its_texts() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let plain = kevin.publish(&PhotoPost::of([photo::small()])).await.expect(201);
    assert_post(&plain);
    assert_eq!(
        (&plain["caption"], &plain["location"], &plain["filter"]),
        (&json!(""), &Value::Null, &Value::Null)
    );
    assert_eq!(plain["viewer"], json!({"liked": false, "saved": false}));

    let form =
        PhotoPost::of((0..10).map(|_| photo::small())).caption("ten  of\nthem ").text("location", "Dogpatch");
    let form = (0..9).fold(form, |form, n| form.text("alt", &format!("photo {n}")));
    let ten = kevin.publish(&form).await.expect(201);
    assert_post(&ten);
    assert_eq!((&ten["caption"], &ten["location"]), (&json!("ten  of\nthem"), &json!("Dogpatch")));
    let alts: Vec<&str> =
        ten["photos"].as_array().unwrap().iter().map(|p| p["alt"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..9).map(|n| format!("photo {n}")).chain([String::new()]).collect();
    assert_eq!(alts, expected);

    crate::idle(&server).await;
    let before = server.stored().await;
    for (refused, field) in [
        (PhotoPost::of((0..11).map(|_| photo::small())), "photo"),
        (PhotoPost::of([]).caption("no photo"), "photo"),
        (PhotoPost::of([photo::small()]).caption(&"x".repeat(2_201)), "caption"),
        (PhotoPost::of([photo::small()]).text("location", &"x".repeat(101)), "location"),
        (PhotoPost::of([photo::small()]).text("alt", "a").text("alt", "b"), "alt"),
        (PhotoPost::of([photo::small()]).text("filter", "sutro2000"), "filter"),
    ] {
        let problem = kevin.publish(&refused).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(before.difference(&server.stored().await), Vec::<String>::new());

    let anonymous = server.api().get(&format!("/posts/{}", id(&ten))).await.expect(200);
    assert_eq!(anonymous["viewer"], Value::Null);
    assert_eq!(anonymous["photos"], ten["photos"]);
    assert_eq!(kevin.get("/me").await.expect(200)["counts"]["posts"], 2);
}

#[tokio::test]
async fn only_its_author_changes_a_caption() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.post_photo("before").await;
    let path = format!("/posts/{}", id(&post));
    mike.patch(&path, &json!({"caption": "mine"})).await.problem(403);
    server.api().patch(&path, &json!({"caption": "mine"})).await.problem(401);
    assert_eq!(kevin.patch(&path, &json!({})).await.expect(200)["caption"], "before");
    let changed = kevin.patch(&path, &json!({"caption": "after"})).await.expect(200);
    assert_eq!(changed["caption"], "after");
    assert_eq!(mike.feed().await.len(), 0);
    assert_eq!(kevin.feed().await, [changed]);
}

#[tokio::test]
async fn likes_count_each_person_once() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.post_photo("like me").await;
    let (path, like) = (format!("/posts/{}", id(&post)), format!("/posts/{}/like", id(&post)));
    for _ in 0..3 {
        mike.put(&like).await.expect(204);
    }
    kevin.put(&like).await.expect(204);
    let seen = mike.get(&path).await.expect(200);
    assert_eq!((&seen["counts"]["likes"], &seen["viewer"]["liked"]), (&json!(2), &json!(true)));
    let likers = server.api().walk(&format!("/posts/{}/likes", id(&post)), 100).await;
    likers.iter().for_each(assert_author);
    assert_eq!(ids(&likers), [kevin.id.as_str(), mike.id.as_str()], "newest first");
    for _ in 0..3 {
        mike.delete(&like).await.expect(204);
    }
    let seen = mike.get(&path).await.expect(200);
    assert_eq!((&seen["counts"]["likes"], &seen["viewer"]["liked"]), (&json!(1), &json!(false)));
    assert_eq!(
        ids(&server.api().walk(&format!("/posts/{}/likes", id(&post)), 100).await),
        [kevin.id.as_str()]
    );
}

#[tokio::test]
async fn a_comment_is_deleted_by_who_wrote_it_or_by_whose_post_it_is() {
    let server = Server::start().await;
    let (kevin, mike, other) =
        (server.person("kevin").await, server.person("mike").await, server.person("other").await);
    let post = kevin.post_photo("talk").await;
    let comments = format!("/posts/{}/comments", id(&post));
    let first = mike.comment(&post, "first 🎈").await;
    let names =
        ["author", "counts", "created_at", "entities", "id", "parent_id", "post_id", "text", "viewer"];
    assert_eq!(fields(&first), names);
    assert_author(&first["author"]);
    assert_time(&first["created_at"]);
    assert_eq!((&first["post_id"], &first["text"]), (&post["id"], &json!("first 🎈")));
    let second = mike.comment(&post, "second").await;
    assert_eq!(other.walk(&comments, 100).await, [second.clone(), first.clone()]);
    let of_nobody = |comment: &Value| {
        let mut comment = comment.clone();
        comment["viewer"] = Value::Null;
        comment
    };
    assert_eq!(server.api().walk(&comments, 100).await, [of_nobody(&second), of_nobody(&first)]);
    let count =
        async || kevin.get(&format!("/posts/{}", id(&post))).await.expect(200)["counts"]["comments"].clone();
    assert_eq!(count().await, 2);

    let (first, second) = (format!("/comments/{}", id(&first)), format!("/comments/{}", id(&second)));
    other.delete(&first).await.problem(403);
    server.api().delete(&first).await.problem(401);
    assert_eq!(count().await, 2);
    mike.delete(&first).await.expect(204);
    kevin.delete(&second).await.expect(204);
    mike.delete(&first).await.problem(404);
    assert_eq!(count().await, 0);
    assert!(other.walk(&comments, 100).await.is_empty());
}

#[tokio::test]
async fn a_deleted_post_is_gone_everywhere_with_its_files_likes_and_comments() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    mike.follow(&kevin).await;
    let (post, kept) = (kevin.post_photo("goes").await, kevin.post_photo("stays").await);
    let comment = mike.comment(&post, "nice").await;
    let path = format!("/posts/{}", id(&post));
    mike.put(&format!("{path}/like")).await.expect(204);
    assert_eq!(mike.feed().await.len(), 2);
    mike.delete(&path).await.problem(403);

    kevin.delete(&path).await.expect(204);
    for gone in [path.clone(), format!("{path}/likes"), format!("{path}/comments")] {
        mike.get(&gone).await.problem(404);
    }
    mike.put(&format!("{path}/like")).await.problem(404);
    mike.post(&format!("{path}/comments"), &json!({"text": "late"})).await.problem(404);
    mike.delete(&format!("/comments/{}", id(&comment))).await.problem(404);
    kevin.delete(&path).await.problem(404);
    kevin.patch(&path, &json!({"caption": "late"})).await.problem(404);
    for list in [
        mike.feed().await,
        kevin.feed().await,
        mike.walk("/explore", 100).await,
        mike.walk(&format!("/users/{}/posts", kevin.id), 100).await,
    ] {
        assert_eq!(ids(&list), [id(&kept)]);
    }
    assert_eq!(kevin.get("/me").await.expect(200)["counts"]["posts"], 1);

    crate::gone(&kevin, post["photos"][0]["url"].as_str().unwrap()).await;
    crate::idle(&server).await;
    let stored = server.stored().await;
    assert_eq!(stored.count("comment"), 0);
    let edges = stored.edges();
    assert!(edges.iter().all(|edge| !edge.contains(id(&post))), "{edges:?}");
    assert_eq!(stored.files.len(), 1, "only the other post's file is left");
}
