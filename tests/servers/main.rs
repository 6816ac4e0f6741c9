//! Runs a command with servers beside it: `cargo run --bin servers -- cargo nextest run ...`.
//!
//! The command finds them by its environment, as `tripod_tests::servers::Shared` reads it; they stop
//! when it ends, and its status is this program's.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use anyhow::{Context, bail};
use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tripod_tests::servers::Shared;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else { bail!("usage: servers COMMAND [ARGUMENT...]") };
    // The terminal sends these to the command, too, which decides what to do.
    let mut left_to_it = [signal(SignalKind::interrupt())?, signal(SignalKind::quit())?];
    let (mut terminate, mut hang_up) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);

    let shared = tokio::select! {
        shared = Shared::start() => shared,
        name = async { tokio::select! {
            _ = any(&mut left_to_it) => "INT",
            _ = terminate.recv() => "TERM",
            _ = hang_up.recv() => "HUP",
        } } => bail!("ended by SIG{name} before the command was started"),
    };
    let mut command = Command::new("setpriv");
    // Without the servers it would only fail, so it ends when this program is killed. The signal is
    // bound to the thread that spawns: the first, which this function runs on.
    command.args(["--pdeathsig", "TERM", "--"]).arg(&program).args(arguments).envs(shared.variables());
    let mut child = command.spawn().context("setpriv can't be run")?;
    let status = loop {
        let forward = tokio::select! {
            status = child.wait() => break status?,
            _ = any(&mut left_to_it) => continue,
            _ = terminate.recv() => "-TERM",
            _ = hang_up.recv() => "-HUP",
        };
        if let Some(pid) = child.id() {
            Command::new("kill").args([forward, &pid.to_string()]).status().await?;
        }
    };
    drop(shared);
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

async fn any(signals: &mut [Signal; 2]) {
    let [first, second] = signals;
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}
