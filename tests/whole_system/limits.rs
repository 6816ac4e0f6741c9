//! Rate limits, which the other tests turn off: a client in a loop is refused with a retry time, and
//! no one else is affected.

use serde_json::json;
use tripod_tests::Setup;

#[tokio::test]
async fn a_loop_of_sign_ups_or_log_ins_is_told_when_to_come_back() {
    let server = Setup::default().set("TRIPOD_LIMITS", "on").start().await;
    let api = server.api();
    let sign_up = |n: usize| json!({"username": format!("person{n}"), "password": "correct horse battery"});
    for n in 0..10 {
        api.post("/accounts", &sign_up(n)).await.expect(201);
    }
    let refused = api.post("/accounts", &sign_up(10)).await;
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=3_600).contains(&seconds), "{seconds}");
    refused.problem(429);
    assert_eq!(api.get("/users?username=person10").await.status, 404, "a refused sign-up created an account");

    let guess = json!({"username": "person0", "password": "a wrong guess"});
    for _ in 0..20 {
        api.post("/sessions", &guess).await.problem(401);
    }
    api.post("/sessions", &guess).await.problem(429);
    let right = json!({"username": "person0", "password": "correct horse battery"});
    api.post("/sessions", &right).await.problem(429);
    let other = json!({"username": "person1", "password": "correct horse battery"});
    api.post("/sessions", &other).await.expect(201);
}

#[tokio::test]
async fn tokens_that_are_made_up_run_out_too() {
    let server = Setup::default().set("TRIPOD_LIMITS", "on").start().await;
    let stranger = server.api().with_token("tri_made_up");
    let mut statuses = Vec::new();
    // More tries than a network has per minute, refill included.
    while statuses.last() != Some(&429) {
        assert!(statuses.len() < 20_000, "made-up tokens are not limited");
        let together = (0..50).map(|_| stranger.get("/me"));
        statuses.extend(futures::future::join_all(together).await.iter().map(|reply| reply.status));
    }
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)));
}
