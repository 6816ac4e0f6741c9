//! The scripts of `tests/browser`, which drive a headless Chromium against a server.

use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use crate::server::target;

/// A script with its arguments; `tests/browser/install` installs its dependencies in the target
/// directory.
///
/// # Panics
/// If this program is not in a target directory.
pub fn browser_script(address: &str, script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser").join(script))
        .arg(address)
        .args(arguments)
        .env("BROWSER_TOOLS", target().join("browser"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}
