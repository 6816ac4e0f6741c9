//! Starting and stopping: every mistake is reported in a sentence that says how to fix it, and stopping
//! loses nothing.
//!
//! Tests about SQLite's files or the data directory use them whatever the run's pairing is.

use std::path::Path;
use std::time::Instant;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tripod_tests::{PhotoPost, Server, Setup, Stored, eventually, photo};

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Starts a server that must not start, and asserts what its error contains.
pub(crate) async fn refused(setup: Setup, directory: &Path, says: &[&str]) {
    let exit = setup.run(directory, &[]).await;
    assert!(!exit.status.success() && exit.status.code().is_some(), "{exit:?}");
    let sentence = exit.stderr.lines().last().unwrap_or_default();
    assert!(sentence.starts_with("error: "), "{exit:?}");
    for part in says {
        assert!(sentence.contains(part), "the message lacks {part:?}: {sentence}");
    }
    assert!(!exit.stderr.contains("panicked") && !exit.stdout.contains("is ready"), "{exit:?}");
}

#[tokio::test]
async fn a_second_process_on_the_same_data_is_refused_and_the_first_goes_on() {
    let server = Setup::embedded().start().await;
    let kevin = server.person("kevin").await;
    let place = server.data().display().to_string();
    let process = format!("process {}", server.pid());
    let second = || Setup::embedded().data(server.data());
    refused(second(), directory().path(), &[&place, &process, "TRIPOD_DATA_DIR"]).await;
    // Listing the jobs changes nothing, so it may run beside a server.
    let jobs = second().run(directory().path(), &["jobs"]).await;
    assert!(jobs.status.success(), "{jobs:?}");
    kevin.post_photo("still here").await;
}

#[tokio::test]
async fn a_setting_that_does_not_exist_or_fit_is_named_with_the_nearest() {
    let empty = directory();
    let set = |name: &str, value: &str| Setup::embedded().set(name, value);
    refused(set("TRIPOD_LISTN", "x"), empty.path(), &["TRIPOD_LISTN", "did you mean TRIPOD_LISTEN"]).await;
    let nested = ["TRIPOD_TIMELINE__LENGHT", "TRIPOD_TIMELINE__LENGTH"];
    refused(set(nested[0], "x"), empty.path(), &nested).await;
    refused(set("TRIPOD_LIMITS", "maybe"), empty.path(), &["TRIPOD_LIMITS", "maybe", "on or off"]).await;
    refused(set("TRIPOD_TIMELINE__LENGTH", "0"), empty.path(), &["timeline.length", "1 or more"]).await;
    refused(
        set("TRIPOD_TIMELINE__LENGTH", "many"),
        empty.path(),
        &["TRIPOD_TIMELINE__LENGTH", "whole number"],
    )
    .await;
    refused(set("TRIPOD_LOG", "a=b=c"), empty.path(), &["log", "a=b=c"]).await;
    refused(set("TRIPOD_LOG", "inffo"), empty.path(), &["TRIPOD_LOG", "inffo", "info"]).await;
    refused(set("TRIPOD_MEDIA", "s3:/photos"), empty.path(), &["s3:/photos", "s3://BUCKET"]).await;
    refused(set("TRIPOD_DATA_DIR", "s3://photos"), empty.path(), &["data_dir", "s3://photos"]).await;
    refused(set("TRIPOD_REDIS", "redis:/cache"), empty.path(), &["TRIPOD_REDIS", "redis:/cache"]).await;
    refused(set("TRIPOD_X", "1"), empty.path(), &["TRIPOD_X", "settings` lists them"]).await;
    for database in ["sqlite:x.db", "sqlite:/x.db", "sqlite://", "sqlite://:memory:", "sqlite://x.db?mode=ro"]
    {
        refused(set("TRIPOD_DATABASES", database), empty.path(), &[database, "sqlite://PATH"]).await;
    }
    refused(set("TRIPOD_DATABASES", "mysql://db/app"), empty.path(), &["mysql://db/app", "sqlite://"]).await;
    for (file, says) in [
        ("# one\n# two\nlimits = perhaps\n", ["tripod.toml", "line 3"]),
        ("[timeline]\nlenght = 3\n", ["timeline.lenght", "timeline.length"]),
        ("limits = 3\n", ["limits", "true or false"]),
    ] {
        let place = directory();
        std::fs::write(place.path().join("tripod.toml"), file).unwrap();
        refused(Setup::embedded(), place.path(), &says).await;
    }
    let absent = Setup::embedded().run(empty.path(), &["--config", "nowhere.toml"]).await;
    assert!(!absent.status.success() && absent.stderr.contains("nowhere.toml"), "{absent:?}");
    assert!(!empty.path().join("data/shard-0.db").exists(), "the database was created with wrong settings");
}

#[tokio::test]
async fn an_address_that_is_none_is_named_with_its_setting() {
    let setup = Setup::default().set("TRIPOD_LISTEN", "everywhere");
    refused(setup, directory().path(), &["listen"]).await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let setup = Setup::default().set("TRIPOD_LISTEN", &address);
    refused(setup, directory().path(), &[&address, "TRIPOD_LISTEN"]).await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named() {
    let place = directory();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let data = file.join("data");
    refused(Setup::embedded().data(&data), place.path(), &[&data.display().to_string(), "TRIPOD_DATA_DIR"])
        .await;
    let media = file.join("media").display().to_string();
    refused(Setup::embedded().set("TRIPOD_MEDIA", &media), place.path(), &[&media]).await;
    let database = format!("sqlite://{}", file.join("a.db").display());
    let says = file.display().to_string();
    refused(Setup::embedded().set("TRIPOD_DATABASES", database), place.path(), &[&says]).await;
}

#[tokio::test]
async fn a_lost_database_is_missed_and_all_is_well_when_it_is_back() {
    let mut server = Setup::embedded().start().await;
    let kevin = server.person("kevin").await;
    kevin.post_photo("x").await;
    assert!(server.terminate().await.success());
    let (data, away) = (server.data().to_owned(), directory());
    let files = ["shard-1.db", "shard-1.db-wal", "shard-1.db-shm"];
    for file in files.iter().filter(|file| data.join(file).exists()) {
        std::fs::rename(data.join(file), away.path().join(file)).unwrap();
    }
    refused(Setup::embedded().data(&data), directory().path(), &["4096-8191", "shard-0.db"]).await;
    for file in files.iter().filter(|file| data.join(file).exists()) {
        std::fs::remove_file(data.join(file)).unwrap();
    }
    for file in files.iter().filter(|file| away.path().join(file).exists()) {
        std::fs::rename(away.path().join(file), data.join(file)).unwrap();
    }
    server.restart().await;
    assert_eq!(kevin.feed().await.len(), 1);
}

#[tokio::test]
async fn a_database_listed_twice_or_of_another_installation_is_refused() {
    let mut servers = [Setup::embedded().start().await, Setup::embedded().start().await];
    for server in &mut servers {
        assert!(server.terminate().await.success());
    }
    let data = [servers[0].data().to_owned(), servers[1].data().to_owned()];
    let url = |server: usize, shard: usize| {
        format!("sqlite://{}", data[server].join(format!("shard-{shard}.db")).display())
    };
    let with = |urls: &[String]| Setup::embedded().set("TRIPOD_DATABASES", urls.join(","));
    let place = directory();
    refused(with(&[url(0, 0), url(0, 1), url(0, 0)]), place.path(), &["shard-0.db", "listed twice"]).await;
    refused(with(&[url(0, 0), url(1, 1)]), place.path(), &["two installations"]).await;
    refused(with(&[url(0, 0)]), place.path(), &["4096-8191"]).await;
    for server in &mut servers {
        server.restart().await;
    }
    // The order does not matter.
    assert!(servers[0].terminate().await.success());
    let turned = with(&[url(0, 1), url(0, 0)]).data(&data[0]).start().await;
    turned.person("kevin").await;
}

#[tokio::test]
async fn a_new_database_listed_twice_is_refused_and_left_as_new() {
    let place = directory();
    let url = format!("sqlite://{}", place.path().join("a.db").display());
    let with = |urls: &str| Setup::embedded().set("TRIPOD_DATABASES", urls).data(place.path());
    refused(with(&format!("{url},{url}")), place.path(), &["a.db", "listed twice"]).await;
    with(&url).start().await.person("kevin").await;
}

#[tokio::test]
async fn a_queued_job_that_nobody_knows_is_named() {
    let mut server = Setup::embedded().start().await;
    assert!(server.terminate().await.success());
    let data = server.data().to_owned();
    let insert = "INSERT INTO tripod_job (id, name, payload, run_at_ms, attempt, dead) \
                  VALUES (500656026783244288, 'knit_socks', '{}', 0, 0, FALSE)";
    let shard: usize = (500_656_026_783_244_288_usize >> 10) & 8191;
    Stored::execute(&data, usize::from(shard >= 4096), insert).await;
    refused(Setup::embedded().data(&data), directory().path(), &["knit_socks", "register"]).await;
}

#[tokio::test]
async fn a_request_that_is_open_at_sigterm_is_finished() {
    let mut server = Server::start().await;
    let kevin = server.person("kevin").await;
    let boundary = "--x\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\n\r\n";
    let body = [boundary.as_bytes(), &photo::jpeg(800, 600, 1), b"\r\n--x--\r\n"].concat();
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    let mut socket = TcpStream::connect(server.address()).await.unwrap();
    let head = format!(
        "POST /api/v1/posts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=x\r\ncontent-length: {}\r\n\r\n",
        kevin.token().unwrap(),
        body.len()
    );
    let (first, second) = body.split_at(body.len() / 2);
    socket.write_all(&[head.as_bytes(), first].concat()).await.unwrap();
    // The server has received the head once it has answered a later request.
    kevin.get("/me").await.expect(200);

    let began = Instant::now();
    server.signal_terminate();
    eventually("no more connections are taken", crate::SOON, async || {
        TcpStream::connect(server.address()).await.is_err().then_some(())
    })
    .await;
    socket.write_all(second).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 201"), "{reply}");
    assert!(reply.to_lowercase().contains("connection: close"), "{reply}");
    assert_eq!(server.ended().await.code(), Some(0), "{}", server.log());
    println!("stopped {:?} after SIGTERM, with a request open", began.elapsed());
    assert_eq!(idle.read(&mut [0]).await.unwrap_or_default(), 0, "an idle connection is closed");

    server.restart().await;
    assert_eq!(kevin.feed().await.len(), 1);
    let began = Instant::now();
    assert_eq!(server.terminate().await.code(), Some(0));
    println!("stopped {:?} after SIGTERM, idle", began.elapsed());
}

#[tokio::test]
async fn a_start_is_measured() {
    let began = Instant::now();
    let mut server = Server::start().await;
    println!("ready {:?} after the start with new databases", began.elapsed());
    let kevin = server.person("kevin").await;
    kevin.publish(&PhotoPost::of([photo::small()])).await.expect(201);
    assert!(server.terminate().await.success());
    let began = Instant::now();
    server.restart().await;
    println!("ready {:?} after the start with old ones", began.elapsed());
}

#[tokio::test]
async fn migrate_says_what_it_did() {
    let place = directory();
    let migrate = async || {
        let exit = Setup::embedded().run(place.path(), &["migrate"]).await;
        assert!(exit.status.success(), "{exit:?}");
        exit.stdout
    };
    let at_this_version = "the databases are at this version's schema";
    let first = migrate().await;
    let applied = "shard-1.db: migrated: m20261122_000001_tripod_shard, ";
    assert!(first.contains(applied) && first.ends_with(&format!("{at_this_version}\n")), "{first}");
    let again = migrate().await;
    assert!(again.contains("shard-1.db: nothing to migrate\n") && again.contains(at_this_version), "{again}");
}

#[tokio::test]
async fn a_password_is_not_shown_however_it_is_written() {
    let empty = directory();
    for (setting, value) in [
        ("TRIPOD_DATABASES", "postgres://tripod:Secr3t@p/ss@host"),
        ("TRIPOD_DATABASES", "postgres://tripod:Secr3t?p@host/ss"),
        ("TRIPOD_DATABASES", "postgres://tripod:Secr3t#p@host/ss"),
        ("TRIPOD_REDIS", "redis://:Secr3t@p/ss@host:6379/0"),
        ("TRIPOD_REDIS", "redis-sentinel://:Secr3t/p@ss@host/main"),
    ] {
        let exit = Setup::embedded().set(setting, value).run(empty.path(), &[]).await;
        let shown = exit.stderr + &exit.stdout;
        assert!(!exit.status.success() && shown.contains("percent-encode"), "{value}: {shown}");
        assert!(
            !shown.contains("Secr3t") && !shown.contains("p/ss") && !shown.contains("ss@"),
            "{value}: {shown}"
        );
    }
    for value in ["s3://key:Secr3t/photos", "s3://key:Secr3t@photos", "https://key:Secr3t@photos.example"] {
        let exit = Setup::embedded().set("TRIPOD_MEDIA", value).run(empty.path(), &[]).await;
        assert!(
            !exit.status.success() && !(exit.stderr.clone() + &exit.stdout).contains("Secr3t"),
            "{exit:?}"
        );
    }
}

#[tokio::test]
async fn the_other_roles_print_what_they_are_asked_for() {
    let place = directory();
    let run = async |arguments: &[&str]| {
        let exit = Setup::default().run(place.path(), arguments).await;
        assert!(exit.status.success(), "{arguments:?}: {exit:?}");
        exit.stdout
    };
    let document: serde_json::Value = serde_json::from_str(&run(&["openapi"]).await).unwrap();
    assert!(document["paths"]["/api/v1/posts"]["post"].is_object());
    let settings = run(&["settings"]).await;
    for line in [
        "listen = \"127.0.0.1:0\"  # from TRIPOD_LISTEN",
        "length = 800",
        "limits = false  # from TRIPOD_LIMITS",
    ] {
        assert!(settings.lines().any(|shown| shown == line), "{line} is not in {settings}");
    }
    assert!(!place.path().join("data").exists(), "the subcommands opened a store");
    run(&["migrate"]).await;
    let shards = run(&["shards"]).await;
    assert!(shards.contains("shards 0-4095") && shards.contains("shards 4096-8191"), "{shards}");
    assert_eq!(run(&["jobs"]).await, "no job is waiting or running, and none is dead\n");
    let served = Setup::default().data(&place.path().join("data")).start().await;
    assert_eq!(served.api().get("~/openapi.json").await.expect(200), document);
    let banner = served.printed();
    for database in shards.lines().map(|line| line.split("  ").next().unwrap()) {
        assert!(banner.contains(&format!("data  {database}\n")), "{banner}");
    }
}

/// A machine whose clock was set back three years would fail every post, one by one.
#[tokio::test]
async fn a_clock_far_behind_the_newest_row_is_refused_at_start() {
    let place = directory();
    let data = place.path().join("data");
    let run = async |setup: Setup, arguments: &[&str]| setup.data(&data).run(place.path(), arguments).await;
    assert!(run(Setup::embedded(), &["migrate"]).await.status.success());
    // Of the year 2056.
    let id = 1_000_000_000_000_i64 << 23;
    let insert = format!(
        "INSERT INTO tripod_job (id, name, payload, run_at_ms, attempt, dead) \
         VALUES ({id}, 'erase_account', '{{}}', {}, 0, FALSE)",
        i64::MAX / 2
    );
    Stored::execute(&data, 0, &insert).await;
    let refused = run(Setup::embedded(), &[]).await;
    assert!(!refused.status.success() && refused.stderr.contains("the newest row of"), "{refused:?}");
    assert!(refused.stderr.contains("TRIPOD_TRUST_CLOCK=on"), "{refused:?}");
    let server = Setup::embedded().data(&data).set("TRIPOD_TRUST_CLOCK", "on").start().await;
    let kevin = loop {
        let kevin = server.person("kevin").await;
        if kevin.database() == 0 {
            break kevin;
        }
    };
    let post: i64 = kevin.post_photo("above").await["id"].as_str().unwrap().parse().unwrap();
    assert!(post > id, "the post is below the newest row");
}
