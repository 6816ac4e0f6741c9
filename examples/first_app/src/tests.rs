//! Uses the club as its members do, through the API and the page.

// ANCHOR: feed
use serde_json::{Value, json};
use tripod::testing::{LONG, TestApp, TestClient, sample_photo};

/// Joins; returns the id and a client that is logged in.
async fn join(club: &TestApp, name: &str) -> (String, TestClient) {
    let new = json!({"name": name, "password": "correct horse"});
    let member = club.client().post("/api/v1/gardeners", &new).await.expect(201).json();
    (member["id"].as_str().unwrap().to_owned(), club.signed_in(member["token"].as_str().unwrap()))
}

/// Shares a cutting; returns the API's view of it.
async fn share(gardener: &TestClient, caption: &str, private: &str) -> Value {
    let plant = sample_photo();
    let photo = ("photo", Some("plant.png"), plant.as_slice());
    let form = [photo, ("caption", None, caption.as_bytes()), ("private", None, private.as_bytes())];
    gardener.post_multipart("/api/v1/cuttings", &form).await.expect(201).json()
}

async fn feed(gardener: &TestClient) -> Vec<Value> {
    gardener.get("/api/v1/feed").await.expect(200).json()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_cutting_reaches_the_feed_of_a_follower() {
    let club = TestApp::start(super::app()).await;
    let (rose, roses) = join(&club, "Rose").await;
    let (_, ivys) = join(&club, "Ivy").await;
    ivys.put(&format!("/api/v1/gardeners/{rose}/follow")).await.expect(204);

    let cutting = share(&roses, "Monstera, rooted", "false").await;
    club.run_jobs().await;
    assert_eq!(feed(&ivys).await, std::slice::from_ref(&cutting));
    assert_eq!(cutting["gardener"], "rose");

    let photo = club.client().get(cutting["photo_url"].as_str().unwrap()).await.expect(200);
    assert_eq!(photo.headers["content-type"], "image/jpeg", "the photo was not re-encoded");

    let want = format!("/api/v1/cuttings/{}/want", cutting["id"].as_str().unwrap());
    for _ in 0..2 {
        ivys.put(&want).await.expect(204);
    }
    let seen = feed(&ivys).await;
    assert_eq!(
        (&seen[0]["wants"], &seen[0]["wanted"]),
        (&json!(1), &json!(true)),
        "wanting twice counts once"
    );
}
// ANCHOR_END: feed

#[tokio::test]
async fn a_private_cutting_is_there_for_its_gardener_alone() {
    let club = TestApp::start(super::app()).await;
    let (rose, roses) = join(&club, "Rose").await;
    let (_, ivys) = join(&club, "Ivy").await;
    ivys.put(&format!("/api/v1/gardeners/{rose}/follow")).await.expect(204);
    let cutting = share(&roses, "Not rooted yet", "on").await;
    club.run_jobs().await;
    assert_eq!((feed(&roses).await.len(), feed(&ivys).await.len()), (1, 0));
    ivys.put(&format!("/api/v1/cuttings/{}/want", cutting["id"].as_str().unwrap())).await.expect(404);
}

#[tokio::test]
async fn a_form_sent_twice_under_a_key_is_one_cutting() {
    let club = TestApp::start(super::app()).await;
    let rose = join(&club, "Rose").await.1;
    let keyed = rose.clone().with_header("idempotency-key", "one");
    assert_eq!(share(&keyed, "Aloe", "").await["id"], share(&keyed, "Aloe", "").await["id"]);
    let plant = sample_photo();
    let other = [("photo", Some("plant.png"), plant.as_slice()), ("caption", None, b"Another".as_slice())];
    keyed.post_multipart("/api/v1/cuttings", &other).await.expect(422);
    assert_eq!(feed(&rose).await.len(), 1);
    // The files of the repeats were not kept, so they are deleted.
    club.clock().advance(LONG);
    club.run_jobs().await;
}

#[tokio::test]
async fn what_is_no_photo_is_refused_by_name_and_leaves_nothing() {
    let club = TestApp::start(super::app()).await;
    let rose = join(&club, "Rose").await.1;
    let plant = sample_photo();
    for (bytes, status) in [(b"GIF89a".as_slice(), 415), (b"", 415), (&plant[..50], 422)] {
        let form = [("photo", Some("plant.png"), bytes), ("caption", None, b"Aloe".as_slice())];
        let refused = rose.post_multipart("/api/v1/cuttings", &form).await.expect(status).json();
        assert_eq!(refused["errors"][0]["field"], "photo", "{refused}");
    }
    let anonymous = [("photo", Some("plant.png"), plant.as_slice())];
    club.client().post_multipart("/api/v1/cuttings", &anonymous).await.expect(401);
    assert_eq!(feed(&rose).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_password_opens_a_session_and_logging_out_ends_it() {
    let club = TestApp::start(super::app()).await;
    join(&club, "Rose").await;
    let (anyone, sessions) = (club.client(), "/api/v1/sessions");
    let right = json!({"name": " ROSE ", "password": "correct horse"});
    let token = anyone.post(sessions, &right).await.expect(201).json()["token"].as_str().unwrap().to_owned();
    for wrong in
        [json!({"name": "rose", "password": "x"}), json!({"name": "ivy", "password": "correct horse"})]
    {
        anyone.post(sessions, &wrong).await.expect(401);
    }
    let rose = club.signed_in(&token);
    rose.get("/api/v1/feed").await.expect(200);
    rose.delete("/api/v1/sessions/current").await.expect(204);
    rose.get("/api/v1/feed").await.expect(401);

    let taken = json!({"name": "Rose", "password": "battery staple"});
    anyone.post("/api/v1/gardeners", &taken).await.expect(409);
    let short = anyone.post("/api/v1/gardeners", &json!({"name": "", "password": "short"})).await.expect(422);
    assert_eq!(short.json()["errors"].as_array().unwrap().len(), 2, "not all errors are reported at once");
}

#[tokio::test]
async fn the_page_works_with_forms_alone() {
    let club = TestApp::start(super::app()).await;
    join(&club, "Rose").await;
    let browser = club.client().with_header("accept", "text/html");
    assert!(browser.get("/").await.expect(200).text().contains(r#"action="/log-in""#));
    let log_in = async |password: &str| {
        browser.post_form("/log-in", &[("name", "Rose"), ("password", password)]).await
    };
    assert!(log_in("wrong").await.expect(401).text().contains("<h1>Unauthorized</h1>"));
    let entered = log_in("correct horse").await.expect(303);
    let rose = browser.clone().with_cookies(&entered);

    let page = rose.get("/").await.expect(200).text();
    let action = page.split('"').find(|part| part.starts_with("/share?")).unwrap().to_owned();
    let plant = sample_photo();
    let form = [("photo", Some("plant.png"), plant.as_slice()), ("caption", None, b"<b>Fern</b>".as_slice())];
    for _ in 0..2 {
        rose.post_multipart(&action, &form).await.expect(303);
    }
    club.clock().advance(LONG);
    club.run_jobs().await;
    let page = rose.get("/").await.expect(200).text();
    assert_eq!(page.matches("<article>").count(), 1, "a double click shares once");
    assert!(page.contains("Fern") && !page.contains("<b>"), "{page}");

    let forged = rose.clone().with_header("origin", "https://elsewhere.example");
    forged.post_multipart(&action, &form).await.expect(403);
    let left = rose.post_form("/log-out", &[]).await.expect(303);
    assert!(rose.with_cookies(&left).get("/").await.expect(200).text().contains(r#"action="/log-in""#));
}

#[tokio::test]
async fn comments_live_and_end_with_their_cutting() {
    let club = TestApp::start(super::app()).await;
    let (rose, roses) = join(&club, "Rose").await;
    let (_, ivys) = join(&club, "Ivy").await;
    ivys.put(&format!("/api/v1/gardeners/{rose}/follow")).await.expect(204);
    let cutting = share(&roses, "Aloe", "").await;
    club.run_jobs().await;

    let path = format!("/api/v1/cuttings/{}", cutting["id"].as_str().unwrap());
    let comments = format!("{path}/comments");
    let keyed = ivys.clone().with_header("idempotency-key", "one");
    for _ in 0..2 {
        keyed.post(&comments, &json!({"text": " Lovely! "})).await.expect(201);
    }
    roses.post(&comments, &json!({"text": "Come and get it"})).await.expect(201);
    ivys.post(&comments, &json!({"text": " "})).await.expect(422);
    let texts = async |gardener: &TestClient, path: &str| {
        let page = gardener.get(path).await.expect(200).json();
        let comments = page["items"].as_array().unwrap();
        comments.iter().map(|comment| comment["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&ivys, &comments).await, ["Lovely!", "Come and get it"]);
    assert!(texts(&roses, "/api/v1/notices").await.is_empty(), "the job has not run");
    club.run_jobs().await;
    assert_eq!(texts(&roses, "/api/v1/notices").await.len(), 2);

    let private = share(&roses, "Not rooted yet", "on").await;
    let hidden = format!("/api/v1/cuttings/{}/comments", private["id"].as_str().unwrap());
    roses.post(&hidden, &json!({"text": "For me"})).await.expect(201);
    ivys.get(&hidden).await.expect(404);
    ivys.post(&hidden, &json!({"text": "x"})).await.expect(404);

    ivys.delete(&path).await.expect(403);
    roses.delete(&path).await.expect(204);
    roses.delete(&path).await.expect(404);
    assert!(feed(&ivys).await.is_empty());
    ivys.get(&comments).await.expect(404);
    assert!(texts(&roses, "/api/v1/notices").await.is_empty(), "before any job has run");
    club.run_jobs().await;
    // Deleting a row of the other end waits for its job.
    club.clock().advance(LONG);
    club.run_jobs().await;
    let photo = cutting["photo_url"].as_str().unwrap();
    club.client().get(photo).await.expect(404);
    assert_eq!(texts(&roses, "/api/v1/notices").await, ["For me"]);
}

#[tokio::test]
async fn a_follow_and_a_password_are_changed() {
    let club = TestApp::start(super::app()).await;
    let (rose, roses) = join(&club, "Rose").await;
    let (_, ivys) = join(&club, "Ivy").await;
    let follow = format!("/api/v1/gardeners/{rose}/follow");
    ivys.put(&follow).await.expect(204);
    share(&roses, "Aloe", "").await;
    club.run_jobs().await;
    assert_eq!(feed(&ivys).await.len(), 1);
    for _ in 0..2 {
        ivys.delete(&follow).await.expect(204);
    }
    assert!(feed(&ivys).await.is_empty());

    let change = |current| json!({"current": current, "new": "battery staple"});
    let wrong = roses.put_json("/api/v1/me/password", &change("wrong horse")).await.expect(422).json();
    assert_eq!(wrong["errors"][0]["field"], "current");
    roses.put_json("/api/v1/me/password", &change("correct horse")).await.expect(204);
    let log_in = |password| json!({"name": "rose", "password": password});
    club.client().post("/api/v1/sessions", &log_in("correct horse")).await.expect(401);
    club.client().post("/api/v1/sessions", &log_in("battery staple")).await.expect(201);
    club.run_jobs().await;
}

// ANCHOR: tags
#[tokio::test]
async fn cuttings_are_found_by_their_tags() {
    let club = TestApp::start(super::app()).await;
    let (_, roses) = join(&club, "Rose").await;
    let (_, ivys) = join(&club, "Ivy").await;
    let found = async |tag: &str| {
        let cuttings = ivys.get(&format!("/api/v1/tags/{tag}/cuttings")).await.expect(200).json();
        let cuttings = cuttings["items"].as_array().unwrap().clone();
        cuttings.into_iter().map(|cutting| cutting["caption"].clone()).collect::<Vec<_>>()
    };
    share(&roses, "#Monstera, rooted", "false").await;
    club.clock().advance(std::time::Duration::from_millis(1));
    share(&ivys, "Another #monstera in #water", "false").await;
    share(&roses, "#monstera, for me", "true").await;
    assert!(found("monstera").await.is_empty(), "the jobs that commit with the rows have not run");
    club.run_jobs().await;
    assert_eq!(found("monstera").await, ["Another #monstera in #water", "#Monstera, rooted"]);
    assert_eq!(found("WATER").await, ["Another #monstera in #water"]);
    assert!(found("wat").await.is_empty());
    ivys.get("/api/v1/tags/two%20words/cuttings").await.expect(422);
}
// ANCHOR_END: tags
