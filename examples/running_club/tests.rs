//! Uses the running club as two runners do.

use serde_json::{Value, json};
use tripod::testing::{TestApp, TestClient};

/// Joins; returns the id and a client that is signed in.
async fn join(club: &TestApp, name: &str) -> (String, TestClient) {
    let joined = club.client().post("/api/v1/runners", &json!({"name": name})).await.expect(201).json();
    (joined["id"].as_str().unwrap().to_owned(), club.signed_in(joined["token"].as_str().unwrap()))
}

async fn run(runner: &TestClient, run: Value) -> Value {
    runner.post("/api/v1/runs", &run).await.expect(201).json()["id"].clone()
}

async fn feed(runner: &TestClient) -> Vec<Value> {
    runner.get("/api/v1/feed").await.expect(200).json()["items"].as_array().unwrap().clone()
}

// ANCHOR: two_runners
#[tokio::test]
async fn two_runners_follow_run_and_cheer() {
    let club = TestApp::start(super::app()).await;
    let (paavo, paavos) = join(&club, "Paavo").await;
    let (_, emils) = join(&club, "Emil").await;
    let again = club.client().post("/api/v1/runners", &json!({"name": "paavo"})).await;
    assert_eq!(again.status, 409, "a name is taken once");
    club.client().post("/api/v1/runners", &json!({"name": "two\nlines"})).await.expect(422);

    emils.put(&format!("/api/v1/runners/{paavo}/follow")).await.expect(204);
    assert_eq!(feed(&emils).await, Vec::<Value>::new());
    let long = run(&paavos, json!({"distance_m": 60_000, "duration_s": 18_000, "note": "long"})).await;
    let secret = run(&paavos, json!({"distance_m": 30_000, "duration_s": 9_000, "private": true})).await;

    club.run_jobs().await;
    let emils_feed = feed(&emils).await;
    assert_eq!((emils_feed.len(), &emils_feed[0]["id"], &emils_feed[0]["note"]), (1, &long, &json!("long")));
    let own = feed(&paavos).await;
    assert_eq!((&own[0]["id"], &own[1]["id"]), (&secret, &long), "newest first, private ones too");

    let cheer = |run: &Value| format!("/api/v1/runs/{}/cheer", run.as_str().unwrap());
    for _ in 0..2 {
        emils.put(&cheer(&long)).await.expect(204);
    }
    assert_eq!(feed(&paavos).await[1]["cheers"], 1, "cheering twice counts once");
    emils.put(&cheer(&secret)).await.expect(404);
    emils.put(&cheer(&json!("1"))).await.expect(404);
    club.client().put(&cheer(&long)).await.expect(401);

    let round = run(&paavos, json!({"distance_m": 10_000, "duration_s": 2_000})).await;
    club.run_jobs().await;
    let emils_feed = feed(&emils).await;
    assert_eq!((&emils_feed[0]["id"], &emils_feed[0]["milestone"]), (&round, &json!(true)));
    assert_eq!(emils_feed[1]["milestone"], false);
}
// ANCHOR_END: two_runners

#[tokio::test]
async fn a_run_sent_again_under_its_key_is_one_run() {
    let club = TestApp::start(super::app()).await;
    let emil = join(&club, "Emil").await.1.with_header("idempotency-key", "one");
    let (first, second) =
        (json!({"distance_m": 5_000, "duration_s": 900}), json!({"distance_m": 6_000, "duration_s": 900}));
    assert_eq!(run(&emil, first.clone()).await, run(&emil, first).await);
    emil.post("/api/v1/runs", &second).await.expect(422);
    assert_eq!(feed(&emil).await.len(), 1);
    club.run_jobs().await;
}
