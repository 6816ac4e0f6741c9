//! Connections: one address cannot take them all, and the limit on open files is no lower than needed.

use std::process::Command;

use reqwest::Method;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt;
use tokio::net::TcpSocket;
use tripod_tests::{Reply, eventually};

use super::*;

#[tokio::test]
async fn idle_connections_of_one_address_lock_nobody_out() {
    // The connections must stay for longer than a busy machine takes to open and read them.
    let setup = Setup::default().set("TRIPOD_LIMITS", "on").set("TRIPOD_HTTP__HEADER_SECONDS", 120);
    let server = setup.start().await;
    let kevin = Person::sign_up(&elsewhere(&server), "kevin").await;
    let idle = feed_p99(&kevin, 100).await;
    let count = if std::env::var_os("FULL").is_some() { 8_300 } else { 2_000 };
    let limits = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, ..limits }).expect("a limit on open files");
    let address = server.address().parse().expect("an address");
    let mut held = Vec::new();
    let begun = Instant::now();
    for _ in 0..count {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).expect("an address");
        held.push(socket.connect(address).await.expect("a connection"));
    }
    let opened = begun.elapsed();
    let p99 = feed_p99(&kevin, 100).await;
    let mut refused = 0;
    for stream in &mut held {
        let mut start = [0; 12];
        // Those that are not refused say nothing.
        let read = tokio::time::timeout(Duration::from_millis(1), stream.read(&mut start)).await;
        refused += usize::from(matches!(read, Ok(Ok(_)) | Ok(Err(_))));
    }
    println!(
        "{count} idle connections in {opened:.1?}, {refused} refused: the feed's p99 elsewhere {p99:.1?}, before {idle:.1?}"
    );
    assert!(refused >= count - 512, "only {refused} of {count} were refused");
    // While hundreds are being told so, further ones are closed without a word.
    eventually("one more from the same address is told so", Duration::from_secs(10), async || {
        let asked = server.api().request(Method::GET, "~/healthz").header("connection", "close");
        let told = Reply::try_to(asked).await.ok()?;
        assert_eq!(told.status, 429, "one more from the same address");
        Some(())
    })
    .await;
}

#[tokio::test]
async fn the_soft_limit_on_open_files_is_raised_and_a_low_hard_one_is_warned_of() {
    let directory = tempfile::tempdir().expect("a directory");
    let setup = Setup::embedded();
    let program = setup.command(directory.path(), "127.0.0.1:0");
    for (limits, warned) in [("ulimit -Sn 128", false), ("ulimit -n 700", true)] {
        let log = directory.path().join("log");
        let mut shell = Command::new("sh");
        shell.args([
            "-c",
            &format!("{limits}; exec \"$0\""),
            program.get_program().to_str().expect("a path"),
        ]);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.current_dir(directory.path()).stdin(std::process::Stdio::null());
        shell.stdout(std::fs::File::create(directory.path().join("out")).expect("a file"));
        shell.stderr(std::fs::File::create(&log).expect("a file"));
        let mut child = shell.spawn().expect("a shell");
        let limit = eventually("it is ready", Duration::from_secs(60), async || {
            let printed = std::fs::read_to_string(directory.path().join("out")).unwrap_or_default();
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap_or_default();
            let line = limits.lines().find(|line| line.starts_with("Max open files"))?.to_owned();
            printed.contains("is ready").then_some(line)
        })
        .await;
        child.kill().expect("a child can be killed");
        child.wait().expect("a killed child ends");
        let values: Vec<&str> = limit.split_whitespace().skip(3).take(2).collect();
        assert_eq!(values[0], values[1], "{limit}");
        let log = std::fs::read_to_string(&log).expect("a log");
        assert_eq!(log.contains("too few files may be open"), warned, "{limits}: {log}");
    }
}
