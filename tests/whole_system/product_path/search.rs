//! Search over HTTP: shapes, pages, and what is found across both databases.

use serde_json::json;
use tripod_tests::{Person, Server};

use super::{assert_author, fields, id, ids};

/// People on both databases.
async fn on_both(server: &Server) -> [Person; 2] {
    let mut people: [Option<Person>; 2] = [None, None];
    while people.iter().any(Option::is_none) {
        let person = server.person("searched").await;
        let database = person.database();
        people[database] = Some(person);
    }
    people.map(|person| person.expect("somebody on each database"))
}

#[tokio::test]
async fn tags_and_people_are_found_across_both_databases() {
    let server = Server::start().await;
    let people = on_both(&server).await;
    let mut posts = Vec::new();
    for n in 0..6 {
        posts.push(people[n % 2].post_photo(&format!("{n} #Sunset @{}", people[0].username)).await);
    }
    crate::idle(&server).await;
    posts.reverse();
    let api = server.api();
    for limit in [1, 4, 100] {
        assert_eq!(ids(&api.walk("/tags/sunset/posts", limit).await), ids(&posts));
    }
    assert_eq!(api.get("/tags?q=suns").await.expect(200), json!([{"name": "sunset", "posts": 6}]));
    assert!(api.get("/tags/rising").await.expect(200).is_array());

    let entities = &posts[0]["entities"];
    assert_eq!(fields(&entities[0]), ["end", "kind", "start", "tag"]);
    assert_eq!(fields(&entities[1]), ["end", "kind", "start", "user_id", "username"]);
    assert_eq!(entities[1]["user_id"], people[0].id.as_str());

    let found = api.get(&format!("/search?q={}", people[0].username)).await.expect(200);
    assert_eq!(fields(&found), ["next", "tags", "users"]);
    assert_eq!(id(&found["users"][0]), people[0].id);
    assert_author(&found["users"][0]);
    let both = api.get("/search?q=searched&limit=100").await.expect(200);
    assert!(ids(both["users"].as_array().unwrap()).len() >= 2);
    api.get("/search?q=searched&limit=101").await.problem(422);
    api.get("/search?q=searched&cursor=x").await.problem(422);
    api.get("/tags/no%20tag/posts").await.problem(422);
}
