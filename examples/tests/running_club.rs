//! Walks through the running club as two runners do, against the built binary.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

/// The club, running; stopped with the test.
struct Club {
    process: Child,
    api: String,
    client: Client,
}

impl Drop for Club {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Club {
    fn start(directory: &Path) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_running_club"))
            .current_dir(directory)
            .env("TRIPOD_LISTEN", "127.0.0.1:0")
            .env("TRIPOD_DATA_DIR", directory.join("data"))
            .env("TRIPOD_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let address =
            lines.find_map(|line| Some(line.unwrap().trim().strip_prefix("http ")?.trim().to_owned()));
        let api = format!("{}api/v1", address.expect("the club did not start"));
        Self { process, api, client: Client::new() }
    }

    async fn ask(&self, token: &str, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let mut request = self.client.request(method, format!("{}{path}", self.api));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// Joins; gives the id and the token.
    async fn join(&self, name: &str) -> (String, String) {
        let (status, joined) = self.ask("", Method::POST, "/runners", json!({"name": name})).await;
        assert_eq!(status, 201, "{joined}");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&joined["runner"]["id"]), text(&joined["token"]))
    }

    async fn run(&self, token: &str, run: Value) -> String {
        let (status, run) = self.ask(token, Method::POST, "/runs", run).await;
        assert_eq!(status, 201, "{run}");
        run["id"].as_str().unwrap().to_owned()
    }

    async fn put(&self, token: &str, path: &str) -> StatusCode {
        self.ask(token, Method::PUT, path, Value::Null).await.0
    }

    async fn feed(&self, token: &str) -> Vec<Value> {
        let (status, page) = self.ask(token, Method::GET, "/feed", Value::Null).await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().unwrap().clone()
    }

    /// Asks for the feed until the jobs have made it what is expected.
    async fn feed_becomes(&self, token: &str, expected: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let feed = self.feed(token).await;
            if expected(&feed) {
                return feed;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "the feed stays {feed:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn two_runners_follow_run_and_cheer() {
    let directory = tempfile::tempdir().unwrap();
    let club = Club::start(directory.path());
    let (paavo, paavos) = club.join("Paavo").await;
    let (_, emils) = club.join("Emil").await;
    let again = club.ask("", Method::POST, "/runners", json!({"name": "paavo"})).await;
    assert_eq!(again.0, 409, "a name is taken once");

    assert_eq!(club.put(&emils, &format!("/runners/{paavo}/follow")).await, 204);
    assert_eq!(club.feed(&emils).await, Vec::<Value>::new());
    let run = club.run(&paavos, json!({"distance_m": 60_000, "duration_s": 18_000, "note": "long"})).await;
    let secret = club.run(&paavos, json!({"distance_m": 30_000, "duration_s": 9_000, "private": true})).await;

    let feed = club.feed_becomes(&emils, |feed| !feed.is_empty()).await;
    assert_eq!((feed.len(), &feed[0]["id"], &feed[0]["note"]), (1, &json!(run), &json!("long")));
    let own = club.feed_becomes(&paavos, |feed| feed.len() == 2).await;
    assert_eq!(
        (&own[0]["id"], &own[1]["id"]),
        (&json!(secret), &json!(run)),
        "newest first, private ones too"
    );

    for _ in 0..2 {
        assert_eq!(club.put(&emils, &format!("/runs/{run}/cheer")).await, 204);
    }
    assert_eq!(club.feed(&paavos).await[1]["cheers"], 1, "cheered twice is cheered once");
    assert_eq!(club.put(&emils, &format!("/runs/{secret}/cheer")).await, 404, "a private run is not there");
    assert_eq!(club.put(&emils, "/runs/1/cheer").await, 404);
    assert_eq!(club.put("", &format!("/runs/{run}/cheer")).await, 401);

    let round = club.run(&paavos, json!({"distance_m": 10_000, "duration_s": 2_000})).await;
    let feed = club.feed_becomes(&emils, |feed| feed[0]["milestone"] == true).await;
    assert_eq!((&feed[0]["id"], &feed[1]["milestone"]), (&json!(round), &json!(false)));
}

#[tokio::test]
async fn a_run_sent_again_under_its_key_is_one_run() {
    let directory = tempfile::tempdir().unwrap();
    let club = Club::start(directory.path());
    let (_, token) = club.join("Emil").await;
    let send = async || {
        let request = club.client.post(format!("{}/runs", club.api)).bearer_auth(&token);
        let request =
            request.header("Idempotency-Key", "one").json(&json!({"distance_m": 5_000, "duration_s": 900}));
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first, second);
    assert_eq!(club.feed(&token).await.len(), 1);
}

#[test]
fn the_code_in_the_readme_is_the_clubs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let club = read("running_club/main.rs") + &read("running_club/tables.rs");
    let club: Vec<&str> = club.lines().map(str::trim).collect();
    let readme = read("../README.md");
    let code = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for line in code.lines().map(str::trim) {
        assert!(club.contains(&line), "README.md has {line:?}, which is not in the example");
    }
}
