//! `cargo run --bin screenshots -- DIRECTORY`: pictures of the pages, on a phone and on a desktop,
//! in the light and in the dark.
//!
//! They are of the demo (`instaclone --demo`). `tests/browser/install` installs the browser.

use std::process::ExitCode;

use tripod_tests::{Setup, browser_script};

/// Everybody's password in the demo.
const DEMO_PASSWORD: &str = "tripod-demo";

#[tokio::main]
async fn main() -> ExitCode {
    let Some(directory) = std::env::args().nth(1) else {
        eprintln!("usage: cargo run --bin screenshots -- DIRECTORY");
        return ExitCode::from(2);
    };
    let server = Setup::default().argument("--demo").start().await;
    let status =
        browser_script(server.address(), "screenshots.mjs", &[&directory, DEMO_PASSWORD]).status().await;
    if status.is_ok_and(|status| status.success()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
