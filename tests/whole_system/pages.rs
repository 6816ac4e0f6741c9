//! The web pages over HTTP: sessions by cookie, forged requests, and replies to browsers and other
//! clients. The browser tests check how the pages look and work.

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use tripod_tests::{Person, PhotoPost, Reply, Server, photo};

const PASSWORD: &str = "correct+horse";

/// A browser without scripts: it accepts HTML and follows no redirects by itself.
struct Browser {
    http: reqwest::Client,
    origin: String,
    cookie: String,
}

impl Browser {
    fn of(server: &Server) -> Self {
        let http = reqwest::Client::builder().redirect(Policy::none()).build().expect("a client");
        Self { http, origin: format!("http://{}", server.address()), cookie: String::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.origin));
        request.header("accept", "text/html").header("cookie", &self.cookie)
    }

    async fn get(&self, path: &str) -> Reply {
        Reply::to(self.request(Method::GET, path)).await
    }

    /// Sends a form as the service's own pages do.
    fn form(&self, path: &str, fields: &str) -> RequestBuilder {
        let form = self.request(Method::POST, path).body(fields.to_owned());
        form.header("content-type", "application/x-www-form-urlencoded").header("origin", &self.origin)
    }

    async fn send(&self, path: &str, fields: &str) -> Reply {
        Reply::to(self.form(path, fields)).await
    }

    /// Logs in and keeps the cookie; returns the whole `Set-Cookie` value.
    async fn log_in(&mut self, name: &str, password: &str) -> String {
        let reply = self.send("/login", &format!("username={name}&password={password}")).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/"), "{}", html(&reply));
        let cookie = reply.header("set-cookie").to_owned();
        self.cookie = cookie.split(';').next().expect("a cookie has a value").to_owned();
        cookie
    }
}

fn html(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.bytes).into_owned()
}

async fn ana(server: &Server) -> Browser {
    let mut browser = Browser::of(server);
    let fields = format!("username=ana&full_name=Ana&email=&password={PASSWORD}");
    assert_eq!(browser.send("/signup", &fields).await.status, 303);
    browser.log_in("ana", PASSWORD).await;
    browser
}

#[tokio::test]
async fn a_browsers_session_is_a_cookie_that_no_script_reads() {
    let server = Server::start().await;
    let mut browser = ana(&server).await;
    let cookie = browser.log_in("ana", PASSWORD).await;
    for part in ["session=tri_", "; Path=/", "; HttpOnly", "; SameSite=Lax"] {
        assert!(cookie.contains(part), "{part} is not in {cookie}");
    }
    let page = browser.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert!(html(&page).contains("/u/ana"), "{}", html(&page));
    let policy = page.header("content-security-policy");
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");

    let stale = browser.cookie.clone();
    let out = browser.send("/logout", "").await;
    assert!(out.status == 303 && out.header("set-cookie").contains("Max-Age=0"), "{:?}", out.headers);
    browser.cookie = stale;
    let page = browser.get("/settings").await;
    assert_eq!((page.status, page.header("location")), (303, "/login?next=/settings"));
    assert!(!html(&browser.get("/").await).contains("/u/ana"), "the session outlived its log-out");
}

#[tokio::test]
async fn what_another_site_makes_a_browser_send_changes_nothing() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    let kevin = server.person("kevin").await;
    let post = kevin.post_photo("A lake.").await;
    let (name, id) = (&kevin.username, post["id"].as_str().expect("an id"));
    let forged = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ];
    for (header, value) in forged {
        for path in
            [format!("/p/{id}/like"), format!("/u/{name}/follow"), "/settings/delete".into(), "/login".into()]
        {
            let request = browser.request(Method::POST, &path).header(header, value);
            let form =
                request.header("content-type", "application/x-www-form-urlencoded").body("confirm=ana");
            assert_eq!(Reply::to(form).await.status, 403, "{path} with {header}: {value}");
        }
        let api = browser.request(Method::PUT, &format!("/api/v1/posts/{id}/like")).header(header, value);
        assert_eq!(Reply::to(api).await.status, 403, "the API with {header}: {value}");
    }
    let silent = browser.request(Method::PUT, &format!("/api/v1/posts/{id}/like"));
    assert_eq!(Reply::to(silent).await.status, 403, "the API accepts a cookie without an origin");
    let post = kevin.get(&format!("/posts/{id}")).await.expect(200);
    assert_eq!(post["counts"]["likes"], 0);

    let own = browser.request(Method::PUT, &format!("/api/v1/posts/{id}/like"));
    assert_eq!(Reply::to(own.header("sec-fetch-site", "same-origin")).await.status, 204);
    let post = kevin.get(&format!("/posts/{id}")).await.expect(200);
    assert_eq!(post["counts"]["likes"], 1);
}

#[tokio::test]
async fn problems_are_pages_for_browsers_and_json_for_others() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    for (path, status) in [
        ("/nowhere", 404),
        ("/u/nobody", 404),
        ("/u/no body", 404),
        ("/p/1", 404),
        ("/p/x", 404),
        ("/logout", 405),
        ("/?limit=0", 422),
    ] {
        let page = browser.get(path).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (status, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(html(&page).contains("<h1>"), "{path}: {}", html(&page));
    }
    server.api().get("~/nowhere").await.problem(404);
    server.api().get("~/logout").await.problem(405);
    server.api().get("/nowhere").await.problem(404);
    let spanish = browser.request(Method::GET, "/nowhere").header("accept-language", "es-MX,en;q=0.5");
    assert!(html(&Reply::to(spanish).await).contains("Aquí no hay nada"));
    let chosen = browser.send("/language", "language=es").await;
    assert!(chosen.status == 303 && chosen.header("set-cookie").starts_with("language=es;"));
    assert_eq!(browser.send("/language", "language=xx").await.status, 422);
}

#[tokio::test]
async fn an_action_answers_with_the_piece_that_changed_or_leads_back() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    let kevin = server.person("kevin").await;
    let id = kevin.post_photo("A lake.").await["id"].as_str().expect("an id").to_owned();
    let like = browser.form(&format!("/p/{id}/like"), "");
    let piece = Reply::to(like.header("prefer", "return=representation")).await;
    let text = html(&piece);
    assert_eq!(piece.status, 200);
    assert!(
        text.contains(&format!("id=\"actions-{id}\"")) && text.contains("aria-pressed=\"true\""),
        "{text}"
    );
    assert!(!text.contains("<html"), "{text}");

    let from = format!("{}/explore?limit=3", browser.origin);
    let unlike = browser.form(&format!("/p/{id}/unlike"), "").header("referer", from);
    let back = Reply::to(unlike).await;
    assert_eq!((back.status, back.header("location")), (303, format!("/explore?limit=3#post-{id}").as_str()));
    let elsewhere = browser.form(&format!("/p/{id}/like"), "").header("referer", "https://evil.example/x");
    let back = Reply::to(elsewhere).await;
    assert_eq!(back.header("location"), format!("/p/{id}#post-{id}"));

    let signed_out = Browser::of(&server);
    let from = format!("{}/u/{}", browser.origin, kevin.username);
    let follow = signed_out.form(&format!("/u/{}/follow", kevin.username), "").header("referer", from);
    let reply = Reply::to(follow).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, format!("/login?next=/u/{}", kevin.username).as_str())
    );
}

#[tokio::test]
async fn a_form_that_is_sent_twice_acts_once() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    let ana: Person = server.person("other").await;
    let id = ana.post_photo("A lake.").await["id"].as_str().expect("an id").to_owned();
    let page = html(&browser.get(&format!("/p/{id}")).await);
    let action = between(&page, &format!("action=\"/p/{id}/comments"), "\"");
    for _ in 0..2 {
        let reply = browser.send(&format!("/p/{id}/comments{action}"), "text=Lovely").await;
        assert_eq!(reply.status, 303, "{}", html(&reply));
    }
    let comments = ana.get(&format!("/posts/{id}/comments")).await.expect(200);
    assert_eq!(comments["items"].as_array().map(Vec::len), Some(1), "{comments}");

    let page = html(&browser.get("/new").await);
    let action = between(&page, "action=\"/new", "\"");
    let post = PhotoPost::of([photo::small()]).caption("Once");
    for _ in 0..2 {
        let request = browser.request(Method::POST, &format!("/new{action}")).multipart(post.form());
        let reply = Reply::to(request.header("origin", &browser.origin)).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/"), "{}", html(&reply));
    }
    let profile = html(&browser.get("/u/ana").await);
    assert_eq!(profile.matches("data-photo=").count(), 1, "{profile}");
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_name_on_every_database() {
    let server = Server::start().await;
    let browser = Browser::of(&server);
    let mut names = Vec::new();
    for _ in 0..8 {
        names.push(server.person("finder").await.username);
    }
    server.person("other").await;
    crate::idle(&server).await;
    // The newest come first.
    names.reverse();
    let page = html(&browser.get("/search?q=FIND").await);
    let places: Vec<_> = names.iter().map(|name| page.find(&format!("<b>{name}</b>"))).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{names:?} in {page}");
    assert!(!page.contains("<b>other"), "{page}");
    for nobody in ["zzz", "%25", "_%25", "a'b", "%F0%9F%98%80", &"x".repeat(31)] {
        let page = html(&browser.get(&format!("/search?q={nobody}")).await);
        assert!(page.contains("role=\"status\"") && !page.contains("class=\"person\""), "{nobody}: {page}");
    }
}

#[tokio::test]
async fn the_address_of_a_refused_form_leads_back_to_its_page() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    for path in ["/settings/profile", "/settings/avatar", "/settings/password", "/settings/delete"] {
        let reply = browser.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/settings"), "{path}");
    }
    let reply = browser.get("/p/7/comments?idempotency_key=k&cursor=c").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/p/7?cursor=c"));
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    let page = html(&browser.get("/settings").await);
    assert!(page.contains("action=\"/settings/password\""), "{page}");
    let change = async |current: &str| {
        browser.send("/settings/password", &format!("current={current}&new=battery+staple")).await
    };
    let refused = change("wrong+horse").await;
    let text = html(&refused);
    assert_eq!(refused.status, 422, "{text}");
    assert!(text.contains("id=\"current-fault\"") && !text.contains("wrong horse"), "{text}");
    let changed = change(PASSWORD).await;
    assert_eq!((changed.status, changed.header("location")), (303, "/settings?saved=1"));
    assert_eq!(browser.get("/settings").await.status, 200, "this browser stays logged in");
    let log_in =
        async |password: &str| browser.send("/login", &format!("username=ana&password={password}")).await;
    assert_eq!((log_in(PASSWORD).await.status, log_in("battery+staple").await.status), (401, 303));
}

#[tokio::test]
async fn a_composers_key_is_good_for_one_post_and_what_was_typed_comes_back() {
    let server = Server::start().await;
    let browser = ana(&server).await;
    let page = html(&browser.get("/new").await);
    let action = format!("/new{}", between(&page, "action=\"/new", "\""));
    let share = async |photos: Vec<Vec<u8>>, caption: &str, action: &str| {
        let form = PhotoPost::of(photos).caption(caption).form();
        Reply::to(browser.request(Method::POST, action).multipart(form).header("origin", &browser.origin))
            .await
    };
    assert_eq!(share(vec![photo::small()], "One", &action).await.status, 303);
    let reply = share(vec![photo::small()], "Another one", &action).await;
    let text = html(&reply);
    assert_eq!(reply.status, 422, "{text}");
    assert!(text.contains("role=\"alert\"") && text.contains("Another one"), "{text}");
    let fresh = format!("/new{}", between(&text, "action=\"/new", "\""));
    assert_ne!(fresh, action);

    let eleven = (0..11).map(|_| photo::small()).collect();
    let reply = share(eleven, "Too many", &fresh).await;
    let text = html(&reply);
    assert_eq!(reply.status, 422, "{text}");
    assert!(text.contains("id=\"photo-fault\"") && text.contains("Too many"), "{text}");
    assert_eq!(share(vec![photo::small()], "Two", &fresh).await.status, 303);
}

#[tokio::test]
async fn what_a_log_in_does_not_mend_leads_to_none() {
    let server = Server::start().await;
    let browser = Browser::of(&server);
    for path in ["/", "/login", "/settings"] {
        let request =
            browser.request(Method::GET, path).header("authorization", "Basic c3RhZ2luZzpob3VzZQ==");
        assert_eq!(Reply::to(request).await.status, 401, "{path}");
    }
}

/// The text between two others.
fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no {start} in {text}")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no {end} after {start}")).0
}
