//! The service behind nginx: with the configuration of the guide, and with nginx's own defaults.

use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use tripod_tests::servers::Nginx;
use tripod_tests::{Api, Person, PhotoPost, Reply, Server, Setup, photo};

/// The site in the guide, for these addresses.
fn site(port: u16, service: &str) -> String {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../book/src/nginx.conf");
    let mut site = std::fs::read_to_string(guide).unwrap();
    let addresses =
        [("listen 80;", format!("listen 127.0.0.1:{port};")), ("127.0.0.1:3000", service.to_owned())];
    for (in_guide, here) in addresses {
        assert_eq!(site.matches(in_guide).count(), 1, "{in_guide}");
        site = site.replace(in_guide, &here);
    }
    site
}

/// What a site without further settings is.
fn default_site(port: u16, service: &str) -> String {
    format!("server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://{service}; }} }}")
}

/// Logs in by the form, as a browser does over plain HTTP: with its origin, without `Sec-Fetch-Site`.
async fn log_in(host: &str, origin: &str, username: &str) -> Reply {
    let http = Client::builder().redirect(Policy::none()).build().unwrap();
    let fields = format!("username={username}&password=correct+horse+battery");
    let form = http.post(format!("http://{host}/login")).body(fields).header("accept", "text/html");
    let form = form.header("content-type", "application/x-www-form-urlencoded").header("origin", origin);
    Reply::to(form).await
}

async fn person(nginx: &Nginx) -> Person {
    Person::sign_up(&Api::new(format!("http://{}", nginx.address())), "kevin").await
}

#[tokio::test]
async fn the_site_of_the_guide_logs_in_and_takes_photos() {
    let service = Server::start().await;
    let nginx = Nginx::start(|port| site(port, service.address())).await;
    let kevin = person(&nginx).await;
    let address = nginx.address();
    let reply = log_in(&address, &format!("http://{address}"), &kevin.username).await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"), "{reply:?}");
    let forged = log_in(&address, "http://evil.example", &kevin.username).await;
    assert_eq!(forged.status, 403);

    // More than nginx takes by default, and more than the service takes.
    let large = photo::jpeg(6_000, 4_500, 1);
    assert!(large.len() > 1_000_000, "{} bytes", large.len());
    let post = kevin.publish(&PhotoPost::of([large])).await.expect(201);
    let url = post["photos"][0]["url"].as_str().unwrap();
    assert_eq!(kevin.get(&format!("~{url}")).await.status, 200);
    let too_large = kevin.request(Method::POST, "/posts").body(vec![b'x'; 132 * 1024 * 1024]);
    let too_large = too_large.header("content-type", "multipart/form-data; boundary=x");
    assert_eq!(Reply::to(too_large).await.problem(413)["status"], 413);
    assert_eq!(kevin.feed().await.len(), 1);
}

#[tokio::test]
async fn behind_nginx_each_client_has_its_own_limits() {
    let limited = Setup::default().set("TRIPOD_LIMITS", "on").set("TRIPOD_TRUSTED_PROXIES", "127.0.0.1");
    let service = limited.start().await;
    let nginx = Nginx::start(|port| site(port, service.address())).await;
    let api = Api::new(format!("http://{}", nginx.address()));
    let (one, other) = (api.from_address("127.0.0.2"), api.from_address("127.0.0.3"));
    for _ in 0..10 {
        Person::sign_up(&one, "someone").await;
    }
    let account = serde_json::json!({"username": "onemore", "password": "correct horse battery"});
    // What the client writes itself is not believed.
    let forged =
        one.request(Method::POST, "/accounts").header("x-forwarded-for", "203.0.113.9").json(&account);
    Reply::to(forged).await.problem(429);
    Person::sign_up(&other, "another").await;
}

#[tokio::test]
async fn with_nginxs_defaults_the_public_url_tells_our_own_forms() {
    for knows_its_url in [false, true] {
        // nginx needs the service's address, and the service nginx's.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let nginx = Nginx::start(|port| default_site(port, &free.to_string())).await;
        let origin = format!("http://{}", nginx.address());
        let mut setup = Setup::default().set("TRIPOD_LISTEN", free);
        if knows_its_url {
            setup = setup.set("TRIPOD_PUBLIC_URL", &origin);
        }
        let _service = setup.start().await;
        let kevin = person(&nginx).await;
        let status = log_in(&nginx.address(), &origin, &kevin.username).await.status;
        assert_eq!(status, if knows_its_url { 303 } else { 403 });
        let forged = log_in(&nginx.address(), "http://evil.example", &kevin.username).await;
        assert_eq!(forged.status, 403);
    }
}
