//! Twin worlds: two services that differ only in what a person did who is hidden from the viewer. Every read
//! of the viewer is the same in both.
//!
//! Ids, times and addresses of files are normalized, and stored totals are left out: by the API's contract
//! they count everyone, and are the same for every viewer.

use serde_json::{Value, json};
use tripod::testing::TestApp;

use super::people::{Someone, someone};
use crate::accounts;

/// Why the viewer can't see the person.
#[derive(Clone, Copy, Debug)]
enum Hiding {
    BlocksViewer,
    BlockedByViewer,
    Suspended,
    Deleted,
}

/// The things that the operations of a world are about.
struct Scene {
    app: TestApp,
    viewer: Someone,
    other: Someone,
    post: String,
    comment: String,
}

/// A world in which the hidden person did something, or nothing.
async fn scene(hiding: Hiding, acts: bool) -> Scene {
    let app = TestApp::start(crate::app()).await;
    let viewer = someone(&app, "viewer").await;
    let (other, hidden) = (someone(&app, "other").await, someone(&app, "hidden").await);
    viewer.put(&format!("/users/{}/follow", other.id)).await;
    let post = other.publish(&[("caption", "a view")]).await;
    let comment = viewer.comment(&post, "mine").await;
    viewer.put(&format!("/posts/{post}/like")).await;
    app.run_jobs().await;
    if acts {
        for them in [&viewer, &other] {
            hidden.put(&format!("/users/{}/follow", them.id)).await;
        }
        other.put(&format!("/users/{}/follow", hidden.id)).await;
        viewer.put(&format!("/users/{}/follow", hidden.id)).await;
        hidden.put(&format!("/posts/{post}/like")).await;
        hidden.comment(&post, "hello @viewer").await;
        let reply = json!({"text": "indeed", "parent_id": comment});
        hidden.client.post(&format!("/api/v1/posts/{post}/comments"), &reply).await.expect(201);
        hidden.put(&format!("/comments/{comment}/like")).await;
        let own = hidden.publish(&[("caption", "hidden #secret @viewer")]).await;
        viewer.put(&format!("/posts/{own}/like")).await;
        viewer.put(&format!("/posts/{own}/save")).await;
        viewer.put(&format!("/me/close-friends/{}", hidden.id)).await;
        hidden.put(&format!("/me/close-friends/{}", viewer.id)).await;
        hidden.publish(&[("audience", "close_friends")]).await;
    }
    app.run_jobs().await;
    match hiding {
        Hiding::BlocksViewer => hidden.put(&format!("/users/{}/block", viewer.id)).await,
        Hiding::BlockedByViewer => viewer.put(&format!("/users/{}/block", hidden.id)).await,
        Hiding::Suspended => accounts::suspend(app.app(), hidden.id, true).await.unwrap(),
        Hiding::Deleted => hidden.delete("/me").await,
    }
    if matches!(hiding, Hiding::BlocksViewer | Hiding::BlockedByViewer) && acts {
        // What goes on after it.
        hidden.publish(&[("caption", "later")]).await;
    }
    app.run_jobs().await;
    Scene { app, viewer, other, post, comment }
}

/// Every read of the document, as the viewer makes it about the other person's things.
async fn reads(scene: &Scene) -> Vec<(String, Value)> {
    let document = scene.app.client().get("/openapi.json").await.expect(200).json();
    let mut replies = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods["get"].is_null() {
            continue;
        }
        let (other, viewer) = (scene.other.id.to_string(), scene.viewer.id.to_string());
        let queries = match path.as_str() {
            path if path.ends_with("/users") => vec!["?username=other", "?username=hidden"],
            path if path.ends_with("/search") => vec!["?q=hidden", "?q=o", "?q=secret"],
            path if path.ends_with("/tags") => vec!["?q=secret", "?q=s"],
            _ => vec![""],
        };
        let about: Vec<String> = match path.as_str() {
            path if path.contains("/users/{id}") => {
                vec![path.replace("{id}", &other), path.replace("{id}", &viewer)]
            }
            path if path.contains("/posts/{id}") => vec![path.replace("{id}", &scene.post)],
            path if path.contains("/comments/{id}") => vec![path.replace("{id}", &scene.comment)],
            path if path.contains("/tags/{tag}") => vec![path.replace("{tag}", "secret")],
            path if path.contains('{') => panic!("what {path} is about is not known here"),
            path => vec![path.to_owned()],
        };
        for path in about {
            for query in &queries {
                let reply = scene.viewer.client.get(&format!("{path}{query}")).await;
                let mut ids = Vec::new();
                let body = normalized(&reply.json(), &mut ids);
                let title = format!("{}{query}", path.replace(&other, "other").replace(&viewer, "viewer"));
                replies.push((
                    title.replace(&scene.post, "post").replace(&scene.comment, "comment"),
                    json!([reply.status.as_u16(), body]),
                ));
            }
        }
    }
    replies
}

/// A reply without what differs between any two services.
fn normalized(value: &Value, ids: &mut Vec<String>) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| *name != "counts");
            kept.map(|(name, value)| match name.as_str() {
                "url" | "avatar_url" | "placeholder" => (name.clone(), json!(value.is_string())),
                "next" => (name.clone(), json!(value.is_string())),
                _ => (name.clone(), normalized(value, ids)),
            })
            .collect()
        }
        Value::Array(items) => items.iter().map(|item| normalized(item, ids)).collect(),
        Value::String(text) if text.len() > 14 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            let known = ids.iter().position(|id| id == text);
            let number = known.unwrap_or_else(|| {
                ids.push(text.clone());
                ids.len() - 1
            });
            json!(format!("id {number}"))
        }
        Value::String(text) if chrono::DateTime::parse_from_rfc3339(text).is_ok() => json!("a time"),
        other => other.clone(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_tells_what_a_hidden_person_did() {
    for hiding in [Hiding::BlocksViewer, Hiding::BlockedByViewer, Hiding::Suspended, Hiding::Deleted] {
        let (one, other) = (scene(hiding, true).await, scene(hiding, false).await);
        let (one, other) = (reads(&one).await, reads(&other).await);
        assert_eq!(one.len(), other.len());
        assert!(one.len() > 15, "most reads are missing");
        for (with, without) in one.iter().zip(&other) {
            assert_eq!(with, without, "{hiding:?}");
        }
    }
}
