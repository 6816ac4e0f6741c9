//! The pages in a real browser: `tests/browser/*.mjs` drive a headless Chromium against a server.
//!
//! `tests/browser/install` installs Chromium, Node and the packages. What is missing is a failure.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;
use tripod_tests::{Server, browser_tools};

/// Runs a script against a server; its output is shown if it fails.
///
/// # Panics
/// When it fails.
async fn run(server: &Server, script: &str, arguments: &[&str]) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(script);
    let arguments = [server.address()].into_iter().chain(arguments.iter().copied());
    let ran = Command::new("node")
        .arg(&script)
        .args(arguments.map(OsStr::new))
        .env("BROWSER_TOOLS", browser_tools())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .expect("node can be run; tests/browser/install installs it");
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{} failed:\n{said}", script.display());
    said.lines().filter(|line| line.starts_with("figure")).for_each(|line| println!("{line}"));
}

#[tokio::test]
async fn the_whole_path_with_scripts() {
    run(&Server::start().await, "path.mjs", &[]).await;
}

#[tokio::test]
async fn the_whole_path_without_scripts() {
    run(&Server::start().await, "path.mjs", &["without"]).await;
}
