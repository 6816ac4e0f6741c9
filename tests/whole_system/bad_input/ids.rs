//! Every operation without a token, with a bad token, and with invalid or foreign ids.

use reqwest::Method;
use serde_json::{Value, json};
use tripod_tests::{Api, PhotoPost, Reply, Server, photo};

use super::Unchanged;

/// An operation; `{user}`, `{post}`, `{comment}` and `{session}` in its path are placeholders for ids.
struct Operation {
    method: Method,
    path: &'static str,
    body: Value,
    needs_token: bool,
}

fn operations() -> Vec<Operation> {
    let text = json!({"text": "x"});
    let none = Value::Null;
    let table = [
        ("POST", "/accounts", none.clone(), false),
        ("POST", "/sessions", none.clone(), false),
        ("GET", "/sessions", none.clone(), true),
        ("DELETE", "/sessions/{session}", none.clone(), true),
        ("DELETE", "/sessions/current", none.clone(), true),
        ("GET", "/me", none.clone(), true),
        ("PATCH", "/me", json!({"bio": "x"}), true),
        ("PUT", "/me/avatar", none.clone(), true),
        ("PUT", "/me/password", json!({"current": "x", "new": "long enough"}), true),
        ("DELETE", "/me", none.clone(), true),
        ("GET", "/users/{user}", none.clone(), false),
        ("GET", "/users", none.clone(), false),
        ("GET", "/users/{user}/posts", none.clone(), false),
        ("GET", "/users/{user}/followers", none.clone(), false),
        ("GET", "/users/{user}/following", none.clone(), false),
        ("PUT", "/users/{user}/follow", none.clone(), true),
        ("DELETE", "/users/{user}/follow", none.clone(), true),
        ("PUT", "/users/{user}/block", none.clone(), true),
        ("DELETE", "/users/{user}/block", none.clone(), true),
        ("PUT", "/users/{user}/mute", none.clone(), true),
        ("DELETE", "/users/{user}/mute", none.clone(), true),
        ("GET", "/me/blocks", none.clone(), true),
        ("GET", "/me/mutes", none.clone(), true),
        ("GET", "/me/close-friends", none.clone(), true),
        ("PUT", "/me/close-friends/{user}", none.clone(), true),
        ("DELETE", "/me/close-friends/{user}", none.clone(), true),
        ("GET", "/me/follow-requests", none.clone(), true),
        ("PUT", "/me/follow-requests/{user}", none.clone(), true),
        ("DELETE", "/me/follow-requests/{user}", none.clone(), true),
        ("DELETE", "/me/followers/{user}", none.clone(), true),
        ("POST", "/posts", none.clone(), true),
        ("GET", "/posts/{post}", none.clone(), false),
        ("PATCH", "/posts/{post}", json!({"caption": "x"}), true),
        ("DELETE", "/posts/{post}", none.clone(), true),
        ("PUT", "/posts/{post}/like", none.clone(), true),
        ("DELETE", "/posts/{post}/like", none.clone(), true),
        ("GET", "/posts/{post}/likes", none.clone(), false),
        ("PUT", "/posts/{post}/save", none.clone(), true),
        ("DELETE", "/posts/{post}/save", none.clone(), true),
        ("GET", "/me/saved", none.clone(), true),
        ("GET", "/posts/{post}/comments", none.clone(), false),
        ("POST", "/posts/{post}/comments", text, true),
        ("DELETE", "/comments/{comment}", none.clone(), true),
        ("GET", "/comments/{comment}/replies", none.clone(), false),
        ("PUT", "/comments/{comment}/like", none.clone(), true),
        ("DELETE", "/comments/{comment}/like", none.clone(), true),
        ("GET", "/feed", none.clone(), true),
        ("GET", "/tags/x/posts", none.clone(), false),
        ("GET", "/tags", none.clone(), false),
        ("GET", "/tags/rising", none.clone(), false),
        ("GET", "/search", none.clone(), false),
        ("GET", "/explore", none, false),
    ];
    let operation = |(method, path, body, needs_token): (&str, _, _, _)| Operation {
        method: method.parse().unwrap(),
        path,
        body,
        needs_token,
    };
    table.map(operation).into()
}

impl Operation {
    async fn call(&self, api: &Api, path: &str) -> Reply {
        let request = api.request(self.method.clone(), path);
        Reply::to(if self.body.is_null() { request } else { request.json(&self.body) }).await
    }
}

/// Ensures that the table above also covers new operations.
#[tokio::test]
async fn the_table_has_every_operation_that_the_document_has() {
    let server = Server::start().await;
    let document = server.api().get("~/openapi.json").await.expect(200);
    let kind = |path: &str| if path.starts_with("/posts") { "{post}" } else { "{user}" };
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").expect("the document has only the API's paths");
        let generic = |path: &str| {
            let path = path.replace(kind(path), if path.starts_with("/me") { "{user_id}" } else { "{id}" });
            path.replace("{comment}", "{id}").replace("{session}", "{id}").replace("/x/", "/{tag}/")
        };
        for method in item.as_object().unwrap().keys() {
            let known = operations().iter().any(|operation| {
                generic(operation.path) == path && operation.method.as_str().eq_ignore_ascii_case(method)
            });
            assert!(known, "{method} {path} is not in this file's table: add it");
        }
    }
}

#[tokio::test]
async fn no_token_and_bad_tokens_are_401_and_change_nothing() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let comment = kevin.comment(&post, "x").await;
    let session = kevin.get("/sessions").await.expect(200)["items"][0].clone();
    let fill = |path: &str| {
        let id = |value: &Value| value["id"].as_str().unwrap().to_owned();
        let path = path.replace("{user}", &kevin.id).replace("{post}", &id(&post));
        path.replace("{comment}", &id(&comment)).replace("{session}", &id(&session))
    };
    let anonymous = server.api();
    let unchanged = Unchanged::from_now(&server).await;
    for operation in operations() {
        let path = fill(operation.path);
        if operation.needs_token {
            let reply = operation.call(&anonymous, &path).await;
            assert_eq!(reply.header("www-authenticate"), "Bearer", "{} {path}", operation.method);
            reply.problem(401);
        }
        for token in ["wrong", "tri_AAAA", &"x".repeat(8_000), &format!("{}x", kevin.token().unwrap())] {
            operation.call(&anonymous.with_token(token), &path).await.problem(401);
        }
    }
    for scheme in ["Basic a2V2aW46eA==", "Bearer", "bearer\t x", "\u{e9}"] {
        let request = anonymous.request(Method::GET, "/me").header("authorization", scheme);
        Reply::to(request).await.problem(401);
    }
    unchanged.check("a request without a good token").await;
}

#[tokio::test]
async fn ids_that_are_none_unknown_or_of_another_kind_are_refused_by_every_operation() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let comment = kevin.comment(&post, "x").await;
    let (user, post, comment) =
        (kevin.id.as_str(), post["id"].as_str().unwrap(), comment["id"].as_str().unwrap());
    let unchanged = Unchanged::from_now(&server).await;
    for operation in operations().iter().filter(|operation| operation.path.contains('{')) {
        let place = operation.path.split(['{', '}']).nth(1).unwrap();
        let call = async |id: &str| {
            let path = operation.path.replace(&format!("{{{place}}}"), id);
            operation.call(&kevin, &path).await
        };
        let malformed = [
            "x",
            "-1",
            "+1",
            "007",
            "1.0",
            "1e3",
            "%20",
            "%00",
            "9223372036854775808",
            "%F0%9F%8E%88",
            "0x10",
            "%FF",
            "..%2f..",
            &"1".repeat(4_000),
        ];
        for id in malformed {
            call(id).await.problem(400);
        }
        let of_another_kind = [("user", user), ("post", post), ("comment", comment)];
        let others = of_another_kind.iter().filter(|(kind, _)| *kind != place).map(|(_, id)| *id);
        for id in ["0", "1", "9223372036854775807"].into_iter().chain(others) {
            call(id).await.problem(404);
        }
    }
    unchanged.check("an id that is none of ours").await;
}

#[tokio::test]
async fn what_is_somebody_elses_can_be_seen_but_not_changed() {
    let server = Server::start().await;
    let (kevin, mike) = (server.person("kevin").await, server.person("mike").await);
    let post = kevin.publish(&PhotoPost::of([photo::small()]).caption("his")).await.expect(201);
    let comment = kevin.comment(&post, "his").await;
    let session = kevin.get("/sessions").await.expect(200)["items"][0]["id"].as_str().unwrap().to_owned();
    let unchanged = Unchanged::from_now(&server).await;
    let path = format!("/posts/{}", post["id"].as_str().unwrap());
    mike.patch(&path, &json!({"caption": "mine"})).await.problem(403);
    mike.delete(&path).await.problem(403);
    mike.delete(&format!("/comments/{}", comment["id"].as_str().unwrap())).await.problem(403);
    mike.delete(&format!("/sessions/{session}")).await.problem(404);
    // Fields that a client may not set are ignored or refused, never stored.
    for extra in
        ["id", "username", "password_hash", "post_count", "counts", "deleted", "is_admin", "created_at"]
    {
        let reply = mike.patch("/me", &json!({extra: 7})).await;
        assert!([200, 422].contains(&reply.status), "{}: {}", reply.of, reply.status);
    }
    unchanged.check("a stranger").await;
}
