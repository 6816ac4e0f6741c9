//! Private accounts, blocks, mutes, close friends, who may comment, and suspension, as people meet them.

use serde_json::{Value, json};
use tripod::testing::TestApp;

use super::people::{PASSWORD, Someone, someone, text};
use crate::accounts;

async fn relationship(me: &Someone, them: &Someone) -> Value {
    me.get(&format!("/users/{}", them.id)).await.expect(200).json()["relationship"].clone()
}

async fn counts(person: &Someone) -> [Value; 2] {
    let counts = person.get("/me").await.expect(200).json()["counts"].clone();
    [counts["followers"].clone(), counts["following"].clone()]
}

/// The names in a list of people.
async fn names(me: &Someone, path: &str) -> Vec<String> {
    me.items(path).await.iter().map(|person| text(&person["username"])).collect()
}

async fn feed(me: &Someone) -> Vec<String> {
    me.items("/feed").await.iter().map(|post| text(&post["caption"])).collect()
}

async fn set_private(person: &Someone, is_private: bool) {
    let changed = person.client.patch("/api/v1/me", &json!({"is_private": is_private})).await.expect(200);
    assert_eq!(changed.json()["is_private"], is_private);
}

#[tokio::test]
async fn a_private_account_is_followed_with_its_consent() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben, cat] =
        [someone(&app, "ann").await, someone(&app, "ben").await, someone(&app, "cat").await];
    ann.publish(&[("caption", "early")]).await;
    set_private(&ann, true).await;
    let follow = format!("/users/{}/follow", ann.id);
    for asking in [&ben, &cat, &ben] {
        asking.put(&follow).await;
    }
    let asked = relationship(&ben, &ann).await;
    assert_eq!((&asked["following"], &asked["requested"]), (&json!(false), &json!(true)));
    assert_eq!(counts(&ann).await, [json!(0), json!(0)]);
    assert_eq!(names(&ann, "/me/follow-requests").await, ["cat", "ben"]);
    assert!(feed(&ben).await.is_empty());

    let request = |of: &Someone| format!("/me/follow-requests/{}", of.id);
    ann.put(&request(&ben)).await;
    ann.put(&request(&ben)).await;
    ann.delete(&request(&cat)).await;
    assert!(names(&ann, "/me/follow-requests").await.is_empty());
    let accepted = relationship(&ben, &ann).await;
    assert_eq!((&accepted["following"], &accepted["requested"]), (&json!(true), &json!(false)));
    assert_eq!(relationship(&cat, &ann).await["requested"], false);
    ann.client.put(&format!("/api/v1{}", request(&cat))).await.expect(404);
    assert_eq!(counts(&ann).await, [json!(1), json!(0)]);
    app.run_jobs().await;
    assert_eq!((feed(&ben).await, feed(&cat).await), (vec!["early".to_owned()], vec![]));
    // A follower stays one, and needs no second consent.
    ben.put(&follow).await;
    assert!(names(&ann, "/me/follow-requests").await.is_empty());

    // Withdrawn; and accepted by going public.
    cat.put(&follow).await;
    cat.delete(&follow).await;
    assert!(names(&ann, "/me/follow-requests").await.is_empty());
    cat.put(&follow).await;
    set_private(&ann, false).await;
    app.run_jobs().await;
    assert_eq!(relationship(&cat, &ann).await["following"], true);
    assert_eq!(feed(&cat).await, ["early"]);
    set_private(&ann, true).await;
    assert_eq!(feed(&cat).await, ["early"], "followers stay when an account becomes private");
    ann.delete(&format!("/me/followers/{}", cat.id)).await;
    assert!(feed(&cat).await.is_empty());
    app.run_jobs().await;
}

#[tokio::test]
async fn requests_that_wait_when_an_account_becomes_private_again_stay() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben] = [someone(&app, "ann").await, someone(&app, "ben").await];
    set_private(&ann, true).await;
    ben.put(&format!("/users/{}/follow", ann.id)).await;
    set_private(&ann, false).await;
    set_private(&ann, true).await;
    app.run_jobs().await;
    assert_eq!(names(&ann, "/me/follow-requests").await, ["ben"]);
}

#[tokio::test]
async fn a_block_ends_all_that_connects_two_people_and_nothing_comes_back() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben] = [someone(&app, "ann").await, someone(&app, "ben").await];
    let follow = |them: &Someone| format!("/users/{}/follow", them.id);
    ann.put(&follow(&ben)).await;
    ben.put(&follow(&ann)).await;
    ann.put(&format!("/me/close-friends/{}", ben.id)).await;
    ben.put(&format!("/me/close-friends/{}", ann.id)).await;
    let post = ann.publish(&[("caption", "mine")]).await;
    ben.put(&format!("/posts/{post}/like")).await;
    ben.comment(&post, "nice").await;
    app.run_jobs().await;
    assert_eq!(feed(&ben).await, ["mine"]);

    ann.put(&format!("/users/{}/block", ben.id)).await;
    assert!(feed(&ben).await.is_empty(), "a block holds at once");
    assert_eq!((counts(&ann).await, counts(&ben).await), ([json!(0), json!(0)], [json!(0), json!(0)]));
    for (me, them) in [(&ann, &ben), (&ben, &ann)] {
        me.get(&format!("/users/{}", them.id)).await.expect(404);
        me.get(&format!("/users?username={}", them.name)).await.expect(404);
        me.client.put(&format!("/api/v1{}", follow(them))).await.expect(404);
        assert!(names(me, "/me/close-friends").await.is_empty());
    }
    ben.client.put(&format!("/api/v1/posts/{post}/like")).await.expect(404);
    assert!(ann.items(&format!("/posts/{post}/likes")).await.is_empty());
    assert!(ann.items(&format!("/posts/{post}/comments")).await.is_empty());
    let totals = ann.get(&format!("/posts/{post}")).await.expect(200).json()["counts"].clone();
    assert_eq!(totals, json!({"likes": 1, "comments": 1}), "a block removes neither likes nor comments");
    let blocked = ann.items("/me/blocks").await;
    assert_eq!(
        (text(&blocked[0]["username"]), &blocked[0]["relationship"]["blocking"]),
        (ben.name.clone(), &json!(true))
    );
    assert!(ben.items("/me/blocks").await.is_empty());
    // Also one who is blocked can block.
    ben.put(&format!("/users/{}/block", ann.id)).await;
    ann.delete(&format!("/users/{}/block", ben.id)).await;
    ann.get(&format!("/users/{}", ben.id)).await.expect(404);
    ben.delete(&format!("/users/{}/block", ann.id)).await;

    let again = relationship(&ann, &ben).await;
    assert_eq!((&again["following"], &again["followed_by"]), (&json!(false), &json!(false)));
    assert!(names(&ann, "/me/close-friends").await.is_empty());
    assert_eq!(ann.items(&format!("/posts/{post}/likes")).await.len(), 1);
    ben.put(&follow(&ann)).await;
    assert_eq!(feed(&ben).await, ["mine"]);
    app.run_jobs().await;
    let id = &ann.id;
    let lists = [
        (format!("/users/{id}/block"), "id"),
        (format!("/users/{id}/mute"), "id"),
        (format!("/me/close-friends/{id}"), "user_id"),
    ];
    for (list, parameter) in lists {
        let refused = ann.client.put(&format!("/api/v1{list}")).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], parameter, "{list}");
    }
}

#[tokio::test]
async fn a_muted_person_is_missing_from_the_feed_only() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben, cat] =
        [someone(&app, "ann").await, someone(&app, "ben").await, someone(&app, "cat").await];
    for them in [&ben, &cat] {
        ann.put(&format!("/users/{}/follow", them.id)).await;
    }
    app.run_jobs().await;
    cat.publish(&[("caption", "first")]).await;
    for n in 0..25 {
        ben.publish(&[("caption", &format!("loud {n}"))]).await;
    }
    app.run_jobs().await;
    assert_eq!(feed(&ann).await.len(), 20);
    ann.put(&format!("/users/{}/mute", ben.id)).await;
    assert_eq!(feed(&ann).await, ["first"], "the page goes on below what is muted");
    assert_eq!(ann.items(&format!("/users/{}/posts", ben.id)).await.len(), 20);
    let seen = relationship(&ann, &ben).await;
    assert_eq!((&seen["muting"], &seen["following"]), (&json!(true), &json!(true)));
    assert_eq!(names(&ann, "/me/mutes").await, ["ben"]);
    ann.delete(&format!("/users/{}/mute", ben.id)).await;
    assert_eq!(feed(&ann).await.len(), 20);
}

#[tokio::test]
async fn who_may_comment_is_up_to_the_author() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben, cat] =
        [someone(&app, "ann").await, someone(&app, "ben").await, someone(&app, "cat").await];
    ben.put(&format!("/users/{}/follow", ann.id)).await;
    let post = ann.publish(&[("comments_from", "followers")]).await;
    app.run_jobs().await;
    let comment = async |who: &Someone| {
        let path = format!("/api/v1/posts/{post}/comments");
        who.client.post(&path, &json!({"text": "words"})).await.status.as_u16()
    };
    assert_eq!([comment(&ann).await, comment(&ben).await, comment(&cat).await], [201, 201, 403]);
    for (from, expected) in [("nobody", [403, 403, 403]), ("everyone", [201, 201, 201])] {
        let changed =
            ann.client.patch(&format!("/api/v1/posts/{post}"), &json!({"comments_from": from})).await;
        assert_eq!(changed.expect(200).json()["comments_from"], from);
        assert_eq!([comment(&ann).await, comment(&ben).await, comment(&cat).await], expected, "{from}");
    }
    let odd = ann.client.patch(&format!("/api/v1/posts/{post}"), &json!({"comments_from": "friends"})).await;
    odd.expect(422);
}

#[tokio::test]
async fn a_post_for_close_friends_reaches_no_one_else() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben, cat] =
        [someone(&app, "ann").await, someone(&app, "ben").await, someone(&app, "cat").await];
    for reader in [&ben, &cat] {
        reader.put(&format!("/users/{}/follow", ann.id)).await;
    }
    ann.put(&format!("/me/close-friends/{}", ben.id)).await;
    let post = ann.publish(&[("caption", "secret"), ("audience", "close_friends")]).await;
    app.run_jobs().await;
    assert_eq!((feed(&ben).await.len(), feed(&cat).await.len(), feed(&ann).await.len()), (1, 0, 1));
    ben.put(&format!("/posts/{post}/save")).await;
    assert_eq!(ben.items("/me/saved").await.len(), 1);
    ann.delete(&format!("/me/close-friends/{}", ben.id)).await;
    assert_eq!((feed(&ben).await.len(), ben.items("/me/saved").await.len()), (0, 0), "it holds at once");
    ben.get(&format!("/posts/{post}")).await.expect(404);
    ann.put(&format!("/me/close-friends/{}", cat.id)).await;
    cat.get(&format!("/posts/{post}")).await.expect(200);
}

#[tokio::test]
async fn a_suspended_account_is_out_and_hidden_until_it_is_restored() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben] = [someone(&app, "ann").await, someone(&app, "ben").await];
    ben.put(&format!("/users/{}/follow", ann.id)).await;
    let (post, other) = (ann.publish(&[("caption", "mine")]).await, ben.publish(&[]).await);
    ann.comment(&other, "hello").await;
    app.run_jobs().await;
    assert_eq!(feed(&ben).await.len(), 2);
    let log_in = || async {
        let credentials = json!({"username": "ann", "password": PASSWORD});
        app.client().post("/api/v1/sessions", &credentials).await
    };
    accounts::suspend(app.app(), ann.id, true).await.unwrap();
    ann.get("/me").await.expect(401);
    let refused = log_in().await.expect(403).json();
    assert_eq!(refused["detail"], "This account is suspended.");
    let wrong = json!({"username": "ann", "password": "wrong horse"});
    app.client().post("/api/v1/sessions", &wrong).await.expect(401);
    for path in [format!("/users/{}", ann.id), format!("/posts/{post}"), "/users?username=ann".to_owned()] {
        ben.get(&path).await.expect(404);
    }
    assert_eq!(feed(&ben).await.len(), 1);
    assert!(ben.items(&format!("/posts/{other}/comments")).await.is_empty());

    accounts::suspend(app.app(), ann.id, false).await.unwrap();
    let token = text(&log_in().await.expect(201).json()["token"]);
    app.signed_in(&token).get("/api/v1/me").await.expect(200);
    assert_eq!(feed(&ben).await.len(), 2);
}

#[tokio::test]
async fn comments_take_replies_and_likes_and_go_with_them() {
    let app = TestApp::start(crate::app()).await;
    let [ann, ben, cat] =
        [someone(&app, "ann").await, someone(&app, "ben").await, someone(&app, "cat").await];
    let (post, other) = (ann.publish(&[]).await, ann.publish(&[]).await);
    app.run_jobs().await;
    let first = ben.comment(&post, "first").await;
    let reply = async |who: &Someone, post: &str, to: &str| {
        let new = json!({"text": format!("{} replies", who.name), "parent_id": to});
        who.client.post(&format!("/api/v1/posts/{post}/comments"), &new).await
    };
    let by_cat = reply(&cat, &post, &first).await.expect(201).json();
    let by_ann = reply(&ann, &post, &first).await.expect(201).json();
    assert_eq!((&by_cat["parent_id"], &by_cat["counts"]["replies"]), (&json!(first), &json!(0)));
    for (post, to) in [(&other, &first), (&post, &text(&by_ann["id"])), (&post, &post)] {
        let refused = reply(&cat, post, to).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], "parent_id");
    }
    let comments = ben.items(&format!("/posts/{post}/comments")).await;
    assert_eq!((comments.len(), &comments[0]["counts"]["replies"]), (1, &json!(2)));
    let replies = format!("/comments/{first}/replies");
    let ids = async || ben.items(&replies).await.iter().map(|reply| reply["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids().await, [by_ann["id"].clone(), by_cat["id"].clone()]);
    let total =
        async || ann.get(&format!("/posts/{post}")).await.expect(200).json()["counts"]["comments"].clone();
    assert_eq!(total().await, 3);

    for liker in [&ann, &cat, &ann] {
        liker.put(&format!("/comments/{first}/like")).await;
    }
    cat.put(&format!("/comments/{}/like", text(&by_ann["id"]))).await;
    let seen = cat.items(&format!("/posts/{post}/comments")).await;
    assert_eq!((&seen[0]["counts"]["likes"], &seen[0]["viewer"]["liked"]), (&json!(2), &json!(true)));
    cat.delete(&format!("/comments/{first}/like")).await;
    let seen = app.client().get(&format!("/api/v1/posts/{post}/comments")).await.expect(200).json();
    assert_eq!(
        (&seen["items"][0]["counts"]["likes"], &seen["items"][0]["viewer"]),
        (&json!(1), &Value::Null)
    );

    // A hidden comment hides its replies; a hidden reply hides itself.
    cat.put(&format!("/users/{}/block", ben.id)).await;
    cat.client.put(&format!("/api/v1/comments/{first}/like")).await.expect(404);
    cat.get(&replies).await.expect(404);
    reply(&cat, &post, &first).await.expect(422);
    cat.client.put(&format!("/api/v1/comments/{}/like", text(&by_ann["id"]))).await.expect(404);
    assert_eq!(ids().await, [by_ann["id"].clone()]);
    cat.delete(&format!("/users/{}/block", ben.id)).await;

    cat.delete(&format!("/comments/{}", text(&by_cat["id"]))).await;
    assert_eq!((ids().await.len(), total().await), (1, json!(2)));
    ben.delete(&format!("/comments/{first}")).await;
    assert_eq!(total().await, 0);
    app.run_jobs().await;
    ben.get(&replies).await.expect(404);
    cat.client.put(&format!("/api/v1/comments/{}/like", text(&by_ann["id"]))).await.expect(404);
}
