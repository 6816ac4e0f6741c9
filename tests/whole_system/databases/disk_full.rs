//! A server's disk is full: writes are refused with the reason, reads continue, and writes resume by
//! themselves once there is space.

use std::time::Duration;

use serde_json::json;
use tripod_tests::eventually;
use tripod_tests::servers::Postgres;

use super::migrated;

const PATIENCE: Duration = Duration::from_secs(60);
const DISK_MIB: u32 = 64;
/// Enough refused writes to be conclusive.
const REFUSED: usize = 20;
/// More comments than fit into the free space of the tables' last pages.
const COMMENTS: usize = 2_000;

/// Fills the disk, except for the free space inside tables.
async fn fill(server: &Postgres) {
    server.query("app", "CREATE TABLE ballast (filler text)").await;
    for kibibytes in [1_024, 64, 8] {
        let sql = format!(
            "INSERT INTO ballast SELECT string_agg(md5(random()::text), '') FROM generate_series(1, {})",
            kibibytes * 32
        );
        let refused = async || Postgres::try_query(&server.url("app"), &sql).await.err();
        let refused = eventually("the disk is full", PATIENCE, refused).await;
        assert!(refused.contains("No space left on device"), "{refused}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_the_disk_was_full_and_writes_go_on_by_themselves() {
    let server = Postgres::start_with_small_disk(DISK_MIB).await;
    // A file copy has no holes; those of a copy through the log would have to be filled on a full disk.
    server.query("postgres", "CREATE DATABASE app TABLESPACE small STRATEGY file_copy").await;
    let service = migrated(&[server.url("app")]).await.start().await;
    let person = service.person("writer").await;
    let post = person.post_photo("before").await;
    let path = format!("/posts/{}/comments", post["id"].as_str().unwrap());

    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    let writing = async {
        for n in 0..COMMENTS {
            let text = format!("comment {n}");
            let reply = person.post(&path, &json!({"text": text})).await;
            match reply.status {
                201 => acknowledged.push(text),
                _ => {
                    let problem = reply.problem(503);
                    assert!(
                        !problem.to_string().contains("space left"),
                        "the response exposes the cause: {problem}"
                    );
                    refused += 1;
                }
            }
            if refused == REFUSED {
                break;
            }
        }
    };
    futures::future::join(fill(&server), writing).await;
    assert_eq!(refused, REFUSED, "the disk was not full");
    assert!(!acknowledged.is_empty(), "nothing was written before it was full");
    assert!(service.log().contains("disk is full"), "the log says what is wrong");
    assert_eq!(person.get("/me").await.expect(200)["id"], person.id.as_str(), "reads go on");
    assert_eq!(person.feed().await.len(), 1);

    server.query("app", "DROP TABLE ballast").await;
    let after = eventually("writes go on", PATIENCE, async || {
        let reply = person.post(&path, &json!({"text": "after"})).await;
        (reply.status == 201).then_some("after".to_owned())
    });
    acknowledged.push(after.await);
    let shown: Vec<String> = person
        .walk(&path, 100)
        .await
        .iter()
        .map(|comment| comment["text"].as_str().unwrap().to_owned())
        .collect();
    let lost = acknowledged.iter().filter(|text| !shown.contains(text)).count();
    println!("{} writes acknowledged on a full disk, {refused} refused, {lost} lost", acknowledged.len());
    assert_eq!(lost, 0);
    assert_eq!(shown.len(), acknowledged.len(), "a refused comment was stored: {shown:?}");
    let me = person.get(&format!("/posts/{}", post["id"].as_str().unwrap())).await.expect(200);
    assert_eq!(me["counts"]["comments"], acknowledged.len(), "{me}");
}
