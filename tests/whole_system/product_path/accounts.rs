//! Sign up, log in and out, the account's own profile, and deletion.

use reqwest::Method;
use serde_json::{Value, json};
use tripod_tests::{Person, PhotoPost, Reply, Server, photo, unique};

use super::{assert_time, fields, id};

fn assert_user(user: &Value) {
    let names = [
        "avatar_url",
        "bio",
        "counts",
        "created_at",
        "full_name",
        "id",
        "is_private",
        "relationship",
        "username",
    ];
    assert_eq!(fields(user), names);
    assert_eq!(fields(&user["counts"]), ["followers", "following", "posts"]);
    assert_time(&user["created_at"]);
    id(user);
}

#[tokio::test]
async fn a_name_is_lower_cased_and_has_one_owner() {
    let server = Server::start().await;
    let api = server.api();
    let account = |name: &str| json!({"username": name, "password": "long enough", "full_name": "Kevin S."});
    let made = api.post("/accounts", &account("Kevin.S_1")).await;
    assert_eq!(made.header("cache-control"), "no-store", "a token must not be kept by caches");
    let made = made.expect(201);
    assert_eq!(fields(&made), ["token", "user"]);
    assert_user(&made["user"]);
    assert_eq!(made["user"]["username"], "kevin.s_1");
    assert_eq!(made["user"]["full_name"], "Kevin S.");
    assert_eq!(made["user"]["counts"], json!({"posts": 0, "followers": 0, "following": 0}));
    assert_eq!(made["user"]["relationship"], Value::Null);

    for taken in ["kevin.s_1", "KEVIN.S_1"] {
        api.post("/accounts", &account(taken)).await.problem(409);
    }
    for bad in [".", "..", "", "a b", "käse", "kev\u{131}n", "a/b", "a\u{0}b", &"x".repeat(31)] {
        let problem = api.post("/accounts", &account(bad)).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], "username", "{problem}");
    }
    for (field, value) in [("password", "short"), ("email", "nobody"), ("full_name", &"x".repeat(65))] {
        let mut account = account(&unique("bad"));
        account[field] = value.into();
        let problem = api.post("/accounts", &account).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(server.stored().await.count("account"), 1, "a refused sign-up leaves nothing");
}

#[tokio::test]
async fn people_are_found_by_id_and_by_name_in_any_case() {
    let server = Server::start().await;
    let api = server.api();
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let by_id = mike.get(&format!("/users/{}", kevin.id)).await.expect(200);
    assert_user(&by_id);
    let names = ["blocking", "close_friend", "followed_by", "following", "muting", "requested"];
    assert_eq!(fields(&by_id["relationship"]), names);
    let by_name = mike.get(&format!("/users?username={}", kevin.username.to_uppercase())).await.expect(200);
    assert_eq!(by_id, by_name);
    let anonymous = api.get(&format!("/users/{}", kevin.id)).await.expect(200);
    assert_eq!(anonymous["relationship"], Value::Null);
    let own = kevin.get(&format!("/users/{}", kevin.id)).await.expect(200);
    assert_eq!(own["relationship"], Value::Null);
    assert_eq!(own, kevin.get("/me").await.expect(200));
    api.get("/users?username=nobody").await.problem(404);
    api.get("/users?username=no%20body").await.problem(422);
}

#[tokio::test]
async fn logging_in_opens_a_session_that_can_be_closed_from_another() {
    let server = Server::start().await;
    let api = server.api();
    let phone = server.person("kevin").await;
    let laptop = phone.log_in(&api).await;
    assert_eq!(laptop.id, phone.id);
    assert_ne!(laptop.token(), phone.token());
    for (username, password) in
        [(phone.username.as_str(), "wrong horse"), ("nobody", "wrong horse"), ("no body", "x")]
    {
        api.post("/sessions", &json!({"username": username, "password": password})).await.problem(401);
    }

    let sessions = laptop.get("/sessions").await.expect(200)["items"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    let current: Vec<bool> = sessions.iter().map(|session| session["current"].as_bool().unwrap()).collect();
    assert_eq!(current, [true, false], "newest first");
    let other = format!("/sessions/{}", id(&sessions[1]));
    let stranger = server.person("mike").await;
    stranger.delete(&other).await.problem(404);
    phone.get("/me").await.expect(200);
    laptop.delete(&other).await.expect(204);
    laptop.delete(&other).await.problem(404);
    phone.get("/me").await.problem(401);

    laptop.delete("/sessions/current").await.expect(204);
    laptop.get("/me").await.problem(401);
    assert_eq!(server.stored().await.count("tripod_session"), 1, "the stranger's is left");
}

#[tokio::test]
async fn a_new_password_logs_out_all_other_devices() {
    let server = Server::start().await;
    let api = server.api();
    let phone = server.person("kevin").await;
    let laptop = phone.log_in(&api).await;
    let (old, new) = ("correct horse battery", "battery staple");
    let change = async |current: &str, new: &str| {
        let change = json!({"current": current, "new": new});
        Reply::to(phone.request(Method::PUT, "/me/password").json(&change)).await
    };
    for (current, new, field) in [("wrong horse", new, "current"), (old, "short", "new")] {
        let problem = change(current, new).await.problem(422);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    laptop.get("/me").await.expect(200);
    change(old, new).await.expect(204);
    phone.get("/me").await.expect(200);
    laptop.get("/me").await.problem(401);
    let log_in = |password: &str| json!({"username": phone.username, "password": password});
    api.post("/sessions", &log_in(old)).await.problem(401);
    api.post("/sessions", &log_in(new)).await.expect(201);
}

#[tokio::test]
async fn replies_to_an_account_are_kept_by_no_cache() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let cookie = format!("session={}", kevin.token().unwrap());
    let anonymous = server.api();
    let by_cookie = |path: &str| anonymous.request(Method::GET, path).header("cookie", &cookie);
    for path in ["/me", "/feed", "/sessions", "/explore", "/users/1", "~/", "~/settings", "~/search?q=a"] {
        for reply in [Reply::to(by_cookie(path)).await, kevin.get(path).await] {
            assert_eq!(reply.header("cache-control"), "private, no-store", "{path}");
            let vary: Vec<_> = reply.headers.get_all("vary").iter().collect();
            assert!(vary.iter().any(|vary| *vary == "cookie, authorization"), "{path}: {vary:?}");
        }
    }
    let reply = anonymous.get("/explore").await;
    assert_eq!((reply.header("cache-control"), reply.status), ("", 200), "the same for everyone");
    assert!(
        reply.headers.get_all("vary").iter().any(|vary| vary == "cookie, authorization"),
        "but not for who is signed in"
    );
}

#[tokio::test]
async fn a_password_typed_on_a_mac_logs_in_on_a_phone() {
    let server = Server::start().await;
    let api = server.api();
    // An e with its accent apart and a no-break space, as one keyboard sends them; then composed.
    let (mac, phone) = ("cafe\u{301} au\u{a0}lait", "caf\u{e9} au lait");
    for (chosen, typed) in [(mac, phone), (phone, mac)] {
        let username = unique("renee");
        let account = |password: &str| json!({"username": username, "password": password});
        let person = Person::of(&api, &api.post("/accounts", &account(chosen)).await.expect(201));
        let other = Person::of(&api, &api.post("/sessions", &account(typed)).await.expect(201));
        api.post("/sessions", &account("cafe au lait")).await.problem(401);
        let change = json!({"current": typed, "new": format!("{typed} 2")});
        Reply::to(person.request(Method::PUT, "/me/password").json(&change)).await.expect(204);
        other.get("/me").await.problem(401);
        api.post("/sessions", &account(&format!("{chosen} 2"))).await.expect(201);
    }
}

#[tokio::test]
async fn a_profile_changes_only_in_what_is_sent() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let changed = kevin.patch("/me", &json!({"full_name": "Kevin", "bio": "two\nlines"})).await.expect(200);
    assert_eq!((&changed["full_name"], &changed["bio"]), (&json!("Kevin"), &json!("two\nlines")));
    let changed = kevin.patch("/me", &json!({"bio": ""})).await.expect(200);
    assert_eq!((&changed["full_name"], &changed["bio"]), (&json!("Kevin"), &json!("")));
    assert_eq!(kevin.patch("/me", &json!({})).await.expect(200), changed);
    assert_eq!(kevin.get("/me").await.expect(200), changed);
    kevin.patch("/me", &json!({"bio": "x".repeat(151)})).await.problem(422);
    assert_eq!(kevin.get("/me").await.expect(200), changed);
}

#[tokio::test]
async fn an_avatar_is_shown_everywhere_and_its_predecessor_is_erased() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let set = async |bytes: Vec<u8>| {
        Reply::to(kevin.request(Method::PUT, "/me/avatar").header("content-type", "image/jpeg").body(bytes))
            .await
    };
    let first = set(photo::jpeg(400, 300, 1)).await.expect(200);
    let url = first["avatar_url"].as_str().unwrap().to_owned();
    assert_eq!(kevin.get(&format!("~{url}")).await.header("content-type"), "image/jpeg");
    let post = kevin.post_photo("hello").await;
    assert_eq!(post["author"]["avatar_url"], first["avatar_url"]);

    let second = set(photo::jpeg(300, 400, 2)).await.expect(200);
    assert_ne!(second["avatar_url"], first["avatar_url"]);
    crate::gone(&kevin, &url).await;
    let shown = kevin.get(&format!("/posts/{}", id(&post))).await.expect(200);
    assert_eq!(shown["author"]["avatar_url"], second["avatar_url"]);
    set(b"no picture".to_vec()).await.problem(415);
    assert_eq!(
        kevin.get("/me").await.expect(200),
        kevin.get(&format!("/users/{}", kevin.id)).await.expect(200)
    );
    assert_eq!(kevin.get("/me").await.expect(200)["avatar_url"], second["avatar_url"]);
}

#[tokio::test]
async fn a_deleted_account_is_gone_for_everyone_and_its_name_is_not_given_away() {
    let server = Server::start().await;
    let api = server.api();
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let laptop = kevin.log_in(&api).await;
    mike.follow(&kevin).await;
    kevin.follow(&mike).await;
    let post = kevin.publish(&PhotoPost::of([photo::jpeg(700, 500, 9)])).await.expect(201);
    let theirs = mike.post_photo("mine").await;
    let url = post["photos"][0]["url"].as_str().unwrap().to_owned();
    kevin.comment(&theirs, "nice").await;
    kevin.put(&format!("/posts/{}/like", id(&theirs))).await.expect(204);

    kevin.delete("/me").await.expect(204);
    for device in [&kevin, &laptop] {
        device.get("/me").await.problem(401);
    }
    for path in [
        format!("/users/{}", kevin.id),
        format!("/users?username={}", kevin.username),
        format!("/users/{}/posts", kevin.id),
        format!("/users/{}/followers", kevin.id),
        format!("/posts/{}", id(&post)),
        format!("/posts/{}/comments", id(&post)),
    ] {
        mike.get(&path).await.problem(404);
        api.get(&path).await.problem(404);
    }
    assert_eq!(super::ids(&mike.feed().await), [id(&theirs)]);
    assert_eq!(super::ids(&api.walk("/explore", 100).await), [id(&theirs)]);
    let comments = mike.walk(&format!("/posts/{}/comments", id(&theirs)), 100).await;
    assert!(comments.is_empty(), "{comments:?}");
    assert!(mike.walk(&format!("/users/{}/followers", mike.id), 100).await.is_empty());
    let credentials = json!({"username": kevin.username, "password": "correct horse battery"});
    api.post("/sessions", &credentials).await.problem(401);
    api.post("/accounts", &credentials).await.problem(409);

    crate::gone(&mike, &url).await;
    crate::idle(&server).await;
    let counts = mike.get("/me").await.expect(200)["counts"].clone();
    assert_eq!(
        counts,
        json!({"posts": 1, "followers": 0, "following": 0}),
        "both ends of each edge are gone"
    );
    let stored = server.stored().await;
    assert_eq!((stored.count("post"), stored.edges().len(), stored.files.len()), (1, 0, 1));
}

#[tokio::test]
async fn a_token_of_one_person_is_of_nobody_else() {
    let server = Server::start().await;
    let api = server.api();
    let kevin = server.person("kevin").await;
    let token = kevin.token().unwrap().to_owned();
    let flipped = if token.ends_with('A') { "E" } else { "A" };
    let nearly = format!("{}{flipped}", &token[..token.len() - 1]);
    let other = Person::sign_up(&api, "mike").await;
    // One session with the other's secret: base64 encodes the first 8 bytes in 10 characters.
    let mixed = format!("{}{}", &token[..4 + 10], &other.token().unwrap()[4 + 10..]);
    for bad in [nearly.as_str(), mixed.as_str(), "tri_", "x", ""] {
        api.with_token(bad).get("/me").await.problem(401);
        api.with_token(bad).get("/explore").await.problem(401);
    }
    api.get("/me").await.problem(401);
    kevin.get("/me").await.expect(200);
}
