//! The pages in a real browser: the scripts of `tests/browser` drive a headless Chromium.
//!
//! `tests/browser/install` installs Chromium, Node and their packages. A missing one is a failure.

use reqwest::redirect::Policy;
use tripod_tests::{Server, Setup, browser_script};

/// Runs a script against its own server; the script's output is shown if it fails.
async fn run(script: &str, arguments: &[&str]) {
    let server = Server::start().await;
    let ran = browser_script(server.address(), script, arguments)
        .output()
        .await
        .expect("node can be run: tests/browser/install installs it");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script} failed:\n{said}");
    said.lines().filter(|line| line.starts_with("figure")).for_each(|line| println!("{line}"));
}

#[tokio::test]
async fn the_whole_path_with_scripts() {
    run("path.mjs", &[]).await;
}

#[tokio::test]
async fn the_whole_path_without_scripts() {
    run("path.mjs", &["without"]).await;
}

#[tokio::test]
async fn forms_say_what_is_wrong_and_keep_what_was_typed() {
    run("forms.mjs", &[]).await;
}

#[tokio::test]
async fn everything_works_by_keyboard() {
    run("keyboard.mjs", &[]).await;
}

#[tokio::test]
async fn every_page_is_accessible_and_fits() {
    run("pages.mjs", &[]).await;
}

#[tokio::test]
async fn other_sites_can_do_nothing() {
    run("security.mjs", &[]).await;
}

#[tokio::test]
async fn lighthouse_finds_no_fault() {
    run("lighthouse.mjs", &[]).await;
}

/// Browsers accept such a cookie only over TLS, which the tests' server does not have.
#[tokio::test]
async fn over_tls_the_session_is_bound_to_its_host() {
    let server = Setup::default().set("TRIPOD_PUBLIC_URL", "https://photos.example").start().await;
    let person = server.person("kevin").await;
    let http = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let page = |path: &str| format!("http://{}{path}", server.address());
    let form = format!("username={}&password=correct+horse+battery", person.username);
    let sent =
        http.post(page("/login")).header("content-type", "application/x-www-form-urlencoded").body(form);
    let reply = sent.send().await.unwrap();
    assert_eq!(reply.status(), 303);
    let cookie = reply.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-session=tri_"), "{cookie}");
    for flag in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
        assert!(cookie.contains(flag), "{flag} is not in {cookie}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    let token = cookie.split(['=', ';']).nth(1).unwrap();
    for (name, status) in [("__Host-session", 200), ("session", 303)] {
        let asked = http.get(page("/settings")).header("cookie", format!("{name}={token}"));
        let reply = asked.header("accept", "text/html").send().await.unwrap();
        assert_eq!(reply.status(), status, "{name}: a cookie that another host could set was accepted");
    }
}
