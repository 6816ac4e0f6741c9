//! What processes must agree on: a process with another Redis, or none, or another media store is
//! refused, and an operator who moves one says so once.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tripod_tests::servers::{Installation, Shared};
use tripod_tests::{Server, Setup, eventually};

use crate::SOON;
use crate::startup::refused;

struct Service {
    installation: Arc<Installation>,
    directory: TempDir,
}

impl Service {
    /// A migrated service that has never had a process.
    async fn new() -> Self {
        let installation = Arc::new(Shared::get().await.installation().await);
        let service = Self { installation, directory: tempfile::tempdir().unwrap() };
        service.migrate(service.setup(), &[]).await;
        service
    }

    fn setup(&self) -> Setup {
        let variables = self.installation.variables();
        variables.into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value))
    }

    fn setting(&self, name: &str) -> String {
        let variables = self.installation.variables();
        variables.into_iter().find(|(known, _)| *known == name).expect("it is set").1
    }

    fn on_redis(&self, redis: impl ToString) -> Setup {
        self.setup().set("TRIPOD_REDIS", redis)
    }

    async fn migrate(&self, setup: Setup, more: &[&str]) -> String {
        let exit = setup.run(self.directory.path(), &[&["migrate"], more].concat()).await;
        assert!(exit.status.success(), "{exit:?}");
        exit.stdout
    }

    /// Neither serves nor works.
    async fn refuses(&self, setup: impl Fn() -> Setup, says: &[&str]) {
        refused(setup(), self.directory.path(), says).await;
        refused(setup().argument("work"), self.directory.path(), says).await;
    }

    async fn stops(&self, mut server: Server, says: &str) {
        let ended = tokio::time::timeout(SOON, server.ended()).await.expect("it stops");
        assert!(ended.success() && server.log().contains(says), "{ended}: {}", server.log());
    }
}

const MEND: &str = "instaclone migrate --adopt";

#[tokio::test]
async fn a_process_that_uses_other_stores_is_refused() {
    let service = Service::new().await;
    let server = service.setup().start().await;
    let redis = service.setting("TRIPOD_REDIS");
    let shown = redis.split_once("://").unwrap().1;

    service.refuses(|| service.on_redis(""), &["no Redis", shown, MEND]).await;
    let prefix = redis.replace("prefix=", "prefix=another-");
    service.refuses(|| service.on_redis(&prefix), &["prefix=another-", shown, MEND]).await;
    let database = redis.replace("/0?", "/1?");
    service.refuses(|| service.on_redis(&database), &["/1?", shown, MEND]).await;

    let other = Shared::get().await.installation().await;
    let variables = other.variables();
    let (_, bucket) = variables.iter().find(|(name, _)| *name == "TRIPOD_MEDIA").unwrap();
    let on_media = |media: &str| service.setup().set("TRIPOD_MEDIA", media);
    let bucket_of = |media: &str| media.split(['?']).next().unwrap().to_owned();
    let says = [&*bucket_of(bucket), &bucket_of(&service.setting("TRIPOD_MEDIA")), "TRIPOD_MEDIA", MEND];
    service.refuses(|| on_media(bucket), &says).await;
    let says = ["data/media", &bucket_of(&service.setting("TRIPOD_MEDIA")), MEND];
    service.refuses(|| on_media(""), &says).await;

    // The same server by another name.
    let second = service.on_redis(redis.replace("127.0.0.1", "localhost")).start().await;
    second.person("mike").await;
    server.person("kevin").await;
}

#[tokio::test]
async fn a_process_with_redis_is_refused_beside_one_without() {
    let service = Service::new().await;
    let _server = service.on_redis("").start().await;
    let redis = service.setting("TRIPOD_REDIS");
    let shown = redis.split_once("://").unwrap().1;
    service.refuses(|| service.setup(), &["no Redis", shown, MEND]).await;
}

#[tokio::test]
async fn one_of_two_first_starts_that_disagree_is_refused() {
    let service = Service::new().await;
    let redis = service.setting("TRIPOD_REDIS");
    let other = redis.replace("prefix=", "prefix=another-");
    let place = tempfile::tempdir().unwrap();
    let logs = [&redis, &other].map(|redis| {
        let name = if *redis == other { "other" } else { "first" };
        let directory = place.path().join(name);
        std::fs::create_dir(&directory).unwrap();
        let mut command = service.on_redis(redis).argument("work").command(&directory, "127.0.0.1:0");
        let file = |name: &str| std::fs::File::create(directory.join(name)).unwrap();
        let child = command.stdout(file("out")).stderr(file("err")).spawn().unwrap();
        (child, directory)
    });
    let mut logs = logs;
    let mut works = 0;
    for (child, directory) in &mut logs {
        let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
        let works_now = eventually("it works or ends", SOON, async || match child.try_wait().unwrap() {
            Some(status) => {
                assert!(!status.success() && read("err").contains(MEND), "{status}: {}", read("err"));
                Some(false)
            }
            None => read("out").contains("works the queue").then_some(true),
        })
        .await;
        works += usize::from(works_now);
    }
    for (child, _) in &mut logs {
        let _ = child.kill();
        let _ = child.wait();
    }
    assert_eq!(works, 1);
}

#[tokio::test]
async fn a_flushed_redis_is_still_the_installations() {
    let service = Service::new().await;
    let mut server = service.setup().start().await;
    let redis = service.setting("TRIPOD_REDIS");
    let by_name = || service.on_redis(redis.replace("127.0.0.1", "localhost"));

    // None runs: only the address tells which Redis is meant.
    assert!(server.terminate().await.success());
    service.installation.flush_redis();
    service.refuses(by_name, &["localhost", "127.0.0.1", MEND]).await;
    server.restart().await;

    // One runs, and puts the mark back.
    service.installation.flush_redis();
    eventually("the other name is accepted", SOON, async || {
        let mut command = by_name().argument("work").command(service.directory.path(), "127.0.0.1:0");
        let out = service.directory.path().join("out");
        let mut child = command.stdout(std::fs::File::create(&out).unwrap()).spawn().unwrap();
        let accepted = eventually("it works or ends", SOON, async || match child.try_wait().unwrap() {
            Some(_) => Some(false),
            None => std::fs::read_to_string(&out).unwrap().contains("works the queue").then_some(true),
        })
        .await;
        let _ = child.kill();
        let _ = child.wait();
        accepted.then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_operator_moves_redis_and_the_bucket() {
    let service = Service::new().await;
    let old = service.setup().start().await;
    old.person("kevin").await;
    let redis = service.setting("TRIPOD_REDIS").replace("prefix=", "prefix=another-");
    let other = Shared::get().await.installation().await;
    let variables = other.variables();
    let (_, bucket) = variables.iter().find(|(name, _)| *name == "TRIPOD_MEDIA").unwrap();
    let moved = || service.on_redis(&redis).set("TRIPOD_MEDIA", bucket);

    let said = service.migrate(moved(), &["--adopt"]).await;
    for part in ["the Redis at", "prefix=another-", "in place of", "the media store s3://"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // A process that was left running stops by itself.
    service.stops(old, "the installation moved to").await;
    let new = moved().start().await;
    service.refuses(|| service.setup(), &["prefix=another-", MEND]).await;
    let said = service.migrate(moved(), &["--adopt"]).await;
    assert!(said.contains("already"), "{said}");

    // Back to the first Redis, which has the data of then.
    let exit = service.setup().run(service.directory.path(), &["migrate", "--adopt"]).await;
    assert!(!exit.status.success() && exit.stderr.contains("empty it"), "{exit:?}");
    service.installation.flush_redis();
    service.migrate(service.setup(), &["--adopt"]).await;
    service.stops(new, "the installation moved to").await;
    service.setup().start().await.person("mike").await;
}

#[tokio::test]
async fn two_installations_do_not_share_a_redis() {
    let services = [Service::new().await, Service::new().await];
    let mut server = services[0].setup().start().await;
    let redis = services[0].setting("TRIPOD_REDIS");
    let on_the_first = || services[1].on_redis(&redis);
    services[1].refuses(on_the_first, &["another installation's", "prefix=TEXT"]).await;
    assert!(server.terminate().await.success());
    services[1].refuses(on_the_first, &["another installation's"]).await;

    // One that is taken over while its process is paused or away is noticed.
    server.restart().await;
    services[0].installation.flush_redis();
    let key = format!("{}mark", redis.split_once("prefix=").unwrap().1);
    let mut client = redis::Client::open(redis.split('?').next().unwrap()).unwrap().get_connection().unwrap();
    redis::cmd("SET").arg(key).arg("another").exec(&mut client).unwrap();
    services[0].stops(server, "another installation has taken over").await;
    tokio::time::timeout(Duration::from_secs(60), services[1].setup().start()).await.unwrap();
}
