//! A commit without an answer: it may have happened, so nothing that it needs is removed.

use std::time::Duration;

use tripod_tests::servers::Postgres;
use tripod_tests::{PhotoPost, Reply, eventually, photo};

use super::migrated;

const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the commit of one post take longer than the service waits.
const SLOW_ONCE: &str = "
CREATE SEQUENCE slowed;
CREATE FUNCTION slow_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('slowed') = 1 THEN PERFORM pg_sleep(4); END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON post DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slow_once();";

#[tokio::test]
async fn a_post_whose_commit_was_given_up_keeps_its_photos_and_is_made_once() {
    let server = Postgres::start_with(&[("fsync", "off")]).await;
    server.create_database("app").await;
    let setup = migrated(&[server.url("app")]).await.set("TRIPOD_DATABASE__STATEMENT_SECONDS", 2);
    let service = setup.start().await;
    let person = service.person("writer").await;
    server.query("app", SLOW_ONCE).await;
    let post = PhotoPost::of([photo::small()]).caption("once");
    let publish = async || Reply::to(person.publishing(&post).header("idempotency-key", "the-post")).await;
    let problem = publish().await.problem(503);
    assert!(problem["detail"].as_str().unwrap().contains("not known"), "{problem}");

    // The server completed it.
    let posts = format!("/users/{}/posts", person.id);
    let made =
        eventually("the commit has happened", PATIENCE, async || person.walk(&posts, 10).await.pop()).await;
    let again = eventually("the key is answered", PATIENCE, async || {
        let reply = publish().await;
        (reply.status == 201).then_some(reply.json)
    });
    assert_eq!(again.await["id"], made["id"]);
    assert_eq!(person.walk(&posts, 10).await.len(), 1);
    let variants = made["photos"][0]["variants"].as_array().unwrap_or_else(|| panic!("{made}"));
    assert!(!variants.is_empty());
    for variant in variants {
        let photo = person.get(&format!("~{}", variant["url"].as_str().unwrap())).await;
        assert_eq!(photo.status, 200, "{variant}");
    }
}
