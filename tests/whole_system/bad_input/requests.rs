//! Bodies that an operation does not accept: wrong types, wrong syntax, wrong sizes.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::{Value, json};
use tripod_tests::{Api, Reply, Server};

use super::Unchanged;

/// Each operation that takes JSON, with its client and a valid body.
async fn operations(server: &Server) -> Vec<(Api, Method, String, Value)> {
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let path = format!("/posts/{}", post["id"].as_str().unwrap());
    let new =
        json!({"username": "somebody.new", "password": "long enough", "full_name": "x", "email": "a@b.org"});
    let wrong = json!({"username": "nobody.here", "password": "long enough"});
    vec![
        (server.api(), Method::POST, "/accounts".to_owned(), new),
        (server.api(), Method::POST, "/sessions".to_owned(), wrong),
        (
            (*kevin).clone(),
            Method::PATCH,
            "/me".to_owned(),
            json!({"full_name": "x", "bio": "x", "is_private": false}),
        ),
        ((*kevin).clone(), Method::PATCH, path.clone(), json!({"caption": "x"})),
        ((*kevin).clone(), Method::POST, format!("{path}/comments"), json!({"text": "x"})),
    ]
}

#[tokio::test]
async fn a_field_of_a_wrong_type_is_422_and_named() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    for (api, method, path, good) in &operations {
        for (field, value) in good.as_object().unwrap() {
            let mut others = vec![json!(1), json!([]), json!({}), json!(1e300), json!(true), json!("x")];
            others.retain(|other| std::mem::discriminant(other) != std::mem::discriminant(value));
            for other in others {
                let mut body = good.clone();
                body[field] = other;
                let reply = Reply::to(api.request(method.clone(), path).json(&body)).await;
                let problem = reply.problem(422);
                assert_eq!(problem["errors"][0]["field"], *field, "{path} {body}: {problem}");
            }
        }
    }
    unchanged.check("a wrong type").await;
}

#[tokio::test]
async fn a_missing_or_too_long_field_is_422_and_named() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    for (api, method, path, good) in &operations {
        for field in good.as_object().unwrap().keys() {
            let mut body = good.clone();
            body.as_object_mut().unwrap().remove(field);
            let is_required = ["username", "password", "text"].contains(&field.as_str());
            if is_required {
                let problem = Reply::to(api.request(method.clone(), path).json(&body)).await.problem(422);
                assert_eq!(problem["errors"][0]["field"], *field, "{path}: {problem}");
            }
            // At log-in, an impossible name or password is just a wrong one.
            if good[field].is_string() && path != "/sessions" {
                for long in ["x".repeat(2_201), "é".repeat(2_201), "x\u{0}".to_owned()] {
                    body[field] = long.into();
                    let problem = Reply::to(api.request(method.clone(), path).json(&body)).await.problem(422);
                    assert_eq!(problem["errors"][0]["field"], *field, "{path}: {problem}");
                }
            }
        }
    }
    unchanged.check("a missing or long field").await;
}

#[tokio::test]
async fn what_is_not_json_or_not_an_object_is_refused() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (api, method, path, good) in &operations {
        let field = good.as_object().unwrap().keys().next_back().unwrap();
        let cases: Vec<(Vec<u8>, u16)> = vec![
            (b"".to_vec(), 400),
            (b"{".to_vec(), 400),
            (format!("{} {{}}", good).into_bytes(), 400),
            (b"NaN".to_vec(), 400),
            (b"{\"a\": \xff\xfe}".to_vec(), 400),
            (format!("{{\"{field}\": \"\u{fffd}").into_bytes(), 400),
            ([b"{\"", field.as_bytes(), b"\": \"\xc3\x28\"}"].concat(), 400),
            (format!("{{\"{field}\": \"\\ud800\"}}").into_bytes(), 400),
            (format!("{{\"{field}\": 1{}}}", "0".repeat(5_000)).into_bytes(), 400),
            (nested.clone().into_bytes(), 422),
            (format!("{{\"{field}\": {nested}}}").into_bytes(), 422),
            (b"[]".to_vec(), 422),
            (b"null".to_vec(), 422),
            (b"\"x\"".to_vec(), 422),
            (b"18446744073709551616".to_vec(), 422),
        ];
        for (body, status) in cases {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let request =
                api.request(method.clone(), path).header("content-type", "application/json").body(body);
            let reply = Reply::to(request).await;
            assert_eq!(reply.status, status, "{path} {shown}");
            reply.problem(status);
        }
        // An unknown field is ignored, however deeply it is nested.
        let unknown = format!("{{\"unknown\": {nested}}}");
        let request =
            api.request(method.clone(), path).header("content-type", "application/json").body(unknown);
        let reply = Reply::to(request).await;
        assert!([200, 422].contains(&reply.status), "{path}: {}", reply.status);
        let value = &good[field];
        let twice = format!("{{\"{field}\": {value}, \"{field}\": {value}}}");
        let request =
            api.request(method.clone(), path).header("content-type", "application/json").body(twice);
        Reply::to(request).await.problem(422);
    }
    unchanged.check("a body that is no JSON object").await;
}

#[tokio::test]
async fn another_content_type_is_415() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    for (api, method, path, good) in &operations {
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "",
            "multipart/form-data; boundary=x",
        ] {
            let request =
                api.request(method.clone(), path).header("content-type", kind).body(good.to_string());
            Reply::to(request).await.problem(415);
        }
        Reply::to(api.request(method.clone(), path).body(good.to_string())).await.problem(415);
    }
    unchanged.check("another content type").await;
}

#[tokio::test]
async fn a_body_past_the_bound_is_413_wherever_it_goes() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let kevin = &operations[2].0;
    let unchanged = Unchanged::from_now(&server).await;
    let uploads = [
        (kevin.clone(), Method::POST, "/posts".to_owned(), "multipart/form-data; boundary=x"),
        (kevin.clone(), Method::PUT, "/me/avatar".to_owned(), "image/jpeg"),
    ];
    let all = operations.into_iter().map(|(api, method, path, _)| (api, method, path, "application/json"));
    for (api, method, path, kind) in all.chain(uploads) {
        for announced in [true, false] {
            let chunk = bytes(kind);
            let chunks = (0..140).map(move |n| {
                Ok::<_, std::io::Error>(if n == 0 { chunk.clone() } else { vec![b' '; 1 << 20] })
            });
            let body = reqwest::Body::wrap_stream(futures::stream::iter(chunks));
            let mut request = api.request(method.clone(), &path).header("content-type", kind).body(body);
            if announced {
                request = request.header("content-length", bytes(kind).len() + (139 << 20));
            }
            // The server need not read it all: it replies, or cuts the connection while we send.
            match Reply::try_to(request).await {
                Ok(reply) => drop(reply.problem(413)),
                Err(error) => assert!(error.is_request() || error.is_body(), "{path}: {error:?}"),
            }
        }
    }
    server.api().get("~/healthz").await.expect(200);
    unchanged.check("140 MiB").await;
}

/// The start of a large body of this type.
fn bytes(kind: &str) -> Vec<u8> {
    match kind {
        "application/json" => b"{\"text\": \"".to_vec(),
        "image/jpeg" => b"\xff\xd8\xff\xe0".to_vec(),
        _ => b"--x\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n".to_vec(),
    }
}

#[tokio::test]
async fn heads_that_are_too_large_or_malformed_are_refused() {
    let server = Server::start().await;
    let api = server.api();
    let reply = Reply::to(api.request(Method::GET, "/explore").header("x-large", "x".repeat(100_000))).await;
    assert_eq!(reply.status, 431);
    for n in 0..3 {
        let request = (0..150).fold(api.request(Method::GET, "/explore"), |request, field| {
            request.header(format!("x-{n}-{field}"), "x")
        });
        assert_eq!(Reply::to(request).await.status, 431);
    }
    let long = api.get(&format!("/explore?cursor={}", "A".repeat(20_000))).await;
    assert!([414, 422].contains(&long.status), "{}", long.status);
    for query in ["limit=1&limit=2", "limit=%zz", "limit"] {
        api.get(&format!("/explore?{query}")).await.problem(422);
    }
}

#[tokio::test]
async fn a_list_is_no_object() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    for (api, method, path, good) in &operations {
        let values: Vec<&Value> = good.as_object().unwrap().values().collect();
        let reply = Reply::to(api.request(method.clone(), path).json(&values)).await;
        let problem = reply.problem(422);
        assert_eq!(problem["errors"][0]["detail"], "must be an object", "{path}: {problem}");
    }
    let (kevin, method, path, _) = &operations[2];
    Reply::to(kevin.request(method.clone(), path).json(&json!(["Name", "bio", false]))).await.problem(422);
    unchanged.check("a list").await;
}

#[tokio::test]
async fn a_body_with_a_content_coding_is_415() {
    let server = Server::start().await;
    let operations = operations(&server).await;
    let unchanged = Unchanged::from_now(&server).await;
    for (api, method, path, good) in &operations {
        for coding in ["gzip", "br", "identity, gzip", "made-up"] {
            let request = api.request(method.clone(), path).json(good).header("content-encoding", coding);
            let reply = Reply::to(request).await;
            assert_eq!(reply.header("accept-encoding"), "identity", "{coding}");
            reply.problem(415);
        }
    }
    unchanged.check("a coded body").await;
    let (api, method, path, good) = &operations[4];
    let request = api.request(method.clone(), path).json(good).header("content-encoding", "identity");
    Reply::to(request).await.expect(201);
}

/// The status line of the reply to a request as it is written here.
fn status_of(server: &Server, request: &str) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    BufReader::new(connection).read_line(&mut reply).unwrap();
    reply.trim_end().to_owned()
}

#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start().await;
    for path in ["/", "/healthz", "/api/v1/explore", "/nothing"] {
        let request = |hosts: &str| {
            status_of(&server, &format!("GET {path} HTTP/1.1\r\n{hosts}connection: close\r\n\r\n"))
        };
        assert!(!request("host: a\r\n").contains(" 400 "), "{path}");
        assert!(request("").contains(" 400 "), "{path} without a host: {}", request(""));
        assert!(request("host: a\r\nhost: b\r\n").contains(" 400 "), "{path} with two hosts");
        assert!(request("host: a\r\nHost: a\r\n").contains(" 400 "), "{path} with one host twice");
    }
}

#[tokio::test]
async fn a_text_in_which_nothing_can_be_seen_is_no_comment() {
    let server = Server::start().await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("x").await;
    let path = format!("/posts/{}/comments", post["id"].as_str().unwrap());
    for unseen in ["\u{200b}", " \u{2060}\u{feff} ", "\u{3164}", "\u{ad}"] {
        let problem = kevin.post(&path, &json!({"text": unseen})).await.problem(422);
        assert_eq!(problem["errors"][0], json!({"field": "text", "detail": "must not be empty"}));
    }
    assert_eq!(kevin.get(&path).await.expect(200)["items"], json!([]));
}
