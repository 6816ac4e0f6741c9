//! Rate limits, which the other tests turn off: a client in a loop is refused with a retry time, and
//! no one else is affected.

use std::net::IpAddr;

use serde_json::json;
use tripod_tests::{Reply, Server, Setup};

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

/// Tries to log in from an address of this machine; returns the status and the cookie of the device.
async fn log_in_from(server: &Server, last_byte: u8, password: &str, cookie: &str) -> (u16, String) {
    let http =
        reqwest::Client::builder().local_address(IpAddr::from([127, 0, 0, last_byte])).build().unwrap();
    let url = format!("http://{}/api/v1/sessions", server.address());
    let credentials = json!({"username": "owner", "password": password});
    let reply = Reply::to(http.post(url).json(&credentials).header("cookie", cookie)).await;
    let cookie = reply.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    (reply.status, cookie)
}

#[tokio::test]
async fn an_owner_is_not_locked_out_by_guesses_from_elsewhere() {
    let server = Setup::default().set("TRIPOD_LIMITS", "on").start().await;
    let right = "correct horse battery";
    let account = json!({"username": "owner", "password": right});
    let signed_up = server.api().post("/accounts", &account).await;
    let device = signed_up.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
    signed_up.expect(201);

    let mut guesses = Vec::new();
    for _ in 0..30 {
        guesses.push(log_in_from(&server, 66, "a wrong guess", "").await.0);
    }
    println!("from one network: {guesses:?}");
    assert_eq!((&guesses[..20], &guesses[20..]), (&[401; 20][..], &[429; 10][..]));
    assert_eq!(log_in_from(&server, 1, right, "").await.0, 201, "from the owner's own network");

    // Many networks together.
    let mut tried = guesses.iter().filter(|status| **status == 401).count();
    for network in 67..200 {
        tried += usize::from(log_in_from(&server, network, "a wrong guess", "").await.0 == 401);
    }
    println!("from many networks: {tried} guesses");
    assert!((100..=105).contains(&tried), "guesses from many networks are bounded: {tried}");
    assert_eq!(log_in_from(&server, 201, right, "").await.0, 429, "from a network that nobody knows");
    assert_eq!(log_in_from(&server, 1, right, "").await.0, 201, "from the owner's own network");
    let (status, cookie) = log_in_from(&server, 202, right, &device).await;
    assert_eq!((status, cookie), (201, device), "from the owner's own device, wherever it is");
    assert_eq!(log_in_from(&server, 203, right, "device=made_up").await.0, 429);
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
