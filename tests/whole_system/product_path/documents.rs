//! The endpoints beside the API: health, readiness, the OpenAPI document and its browser page.

use std::time::Duration;

use serde_json::Value;
use tripod_tests::{Server, Setup, eventually};

#[tokio::test]
async fn health_says_that_the_process_lives_and_readiness_that_its_stores_answer() {
    let server = Setup::embedded().start().await;
    let api = server.api();
    api.get("~/healthz").await.expect(200);
    api.get("~/readyz").await.expect(200);
    // Without its media directory it can do useful work, and says what is down.
    let media = server.data().join("media");
    let away = server.data().join("away");
    let down = async |expected: bool| {
        eventually("the look is a second old at most", Duration::from_secs(5), async || {
            let ready = api.get("~/readyz").await.expect(200);
            let named = ready["down"].as_array().is_some_and(|down| {
                down.iter().any(|what| what.as_str().is_some_and(|what| what.starts_with("media: ")))
            });
            (named == expected).then_some(())
        })
        .await;
    };
    std::fs::rename(&media, &away).unwrap();
    down(true).await;
    api.get("~/healthz").await.expect(200);
    api.get("/explore").await.expect(200);
    std::fs::rename(&away, &media).unwrap();
    down(false).await;
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem() {
    let server = Server::start().await;
    for path in ["/nothing", "~/nothing", "~/api/v2/feed"] {
        server.api().get(path).await.problem(404);
    }
    let reply = server.api().delete("/accounts").await;
    assert!(reply.header("allow").contains("POST"), "405 names what is allowed");
    reply.problem(405);
}

#[tokio::test]
async fn every_operation_is_described_with_its_errors() {
    let server = Server::start().await;
    let document = server.api().get("~/openapi.json").await.expect(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operation_ids = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let of = format!("{method} {path}");
            operation_ids.push(operation["operationId"].as_str().unwrap_or_else(|| panic!("{of} has no id")));
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{of} never succeeds");
            for (status, response) in responses {
                let text = response["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty(), "{of} does not describe {status}");
                let types: Vec<&String> =
                    response["content"].as_object().into_iter().flatten().map(|(k, _)| k).collect();
                assert!(
                    !status.starts_with(['4', '5']) || types == ["application/problem+json"],
                    "{of} {status}"
                );
            }
        }
    }
    let count = operation_ids.len();
    operation_ids.sort_unstable();
    operation_ids.dedup();
    assert_eq!(operation_ids.len(), count, "two operations have one id");
}

#[tokio::test]
async fn the_document_names_every_operation_of_the_contract_that_is_built() {
    let server = Server::start().await;
    let document = server.api().get("~/openapi.json").await.expect(200);
    for operation in [
        "POST /accounts",
        "POST /sessions",
        "GET /sessions",
        "DELETE /sessions/{id}",
        "DELETE /sessions/current",
        "GET /me",
        "PATCH /me",
        "PUT /me/avatar",
        "PUT /me/password",
        "DELETE /me",
        "GET /users/{id}",
        "GET /users",
        "GET /users/{id}/posts",
        "GET /users/{id}/followers",
        "GET /users/{id}/following",
        "PUT /users/{id}/follow",
        "DELETE /users/{id}/follow",
        "PUT /users/{id}/block",
        "DELETE /users/{id}/block",
        "PUT /users/{id}/mute",
        "DELETE /users/{id}/mute",
        "GET /me/blocks",
        "GET /me/mutes",
        "GET /me/close-friends",
        "PUT /me/close-friends/{user_id}",
        "DELETE /me/close-friends/{user_id}",
        "GET /me/follow-requests",
        "PUT /me/follow-requests/{user_id}",
        "DELETE /me/follow-requests/{user_id}",
        "POST /posts",
        "GET /posts/{id}",
        "PATCH /posts/{id}",
        "DELETE /posts/{id}",
        "PUT /posts/{id}/like",
        "DELETE /posts/{id}/like",
        "GET /posts/{id}/likes",
        "PUT /posts/{id}/save",
        "DELETE /posts/{id}/save",
        "GET /me/saved",
        "GET /posts/{id}/comments",
        "POST /posts/{id}/comments",
        "DELETE /comments/{id}",
        "GET /comments/{id}/replies",
        "PUT /comments/{id}/like",
        "DELETE /comments/{id}/like",
        "GET /feed",
        "GET /explore",
        "GET /tags",
        "GET /tags/rising",
        "GET /tags/{tag}/posts",
        "GET /search",
    ] {
        let (method, path) = operation.split_once(' ').unwrap();
        let found = &document["paths"][format!("/api/v1{path}")][method.to_lowercase()];
        assert_ne!(*found, Value::Null, "{operation} is missing");
    }
}

#[tokio::test]
async fn the_page_to_browse_it_needs_no_other_network() {
    let server = Server::start().await;
    let page = server.api().get("~/docs/").await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.bytes).unwrap();
    let mut files = 0;
    for (attribute, end) in [("src=\"", '"'), ("href=\"", '"'), ("src='", '\''), ("href='", '\'')] {
        for rest in html.split(attribute).skip(1) {
            let target = rest.split(end).next().unwrap();
            assert!(!target.contains("//"), "the page loads {target} from elsewhere");
            let file = server.api().get(&format!("~/docs/{}", target.trim_start_matches("./"))).await;
            assert_eq!(file.status, 200, "{target}");
            files += 1;
            if target.ends_with("initializer.js") {
                let script = String::from_utf8(file.bytes).unwrap();
                assert!(script.contains("/openapi.json") && !script.contains("https://"), "{script}");
            }
        }
    }
    assert!(files >= 3, "the page is empty: {html}");
}
