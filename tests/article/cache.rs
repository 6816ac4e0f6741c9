//! Objects kept in memory before the database: loaded once for all processes, and never an old one.

use super::{Row, SOON, State};
use crate::servers::Shared;
use crate::{Api, Server, Setup, eventually};

pub(super) const ROW: Row = Row {
    name: "cache",
    of_2011: "Memcached, later leases",
    here: "`cache`: moka in front of Redis, leases, invalidation",
    state: State::Shown(|| Box::pin(prove())),
};

const PROCESSES: usize = 4;
const READS: usize = 200;
const CHANGES: usize = 10;

async fn prove() -> String {
    let installation = Shared::get().await.installation().await;
    let setup = || {
        let variables = installation.variables();
        variables.into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value))
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let migrated = setup().run(directory.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let mut processes: Vec<Server> = futures::future::join_all((0..PROCESSES).map(|_| setup().start())).await;
    let author = processes[0].person("author").await;
    let post = author.post_photo("as it was posted").await;
    let path = format!("/posts/{}", post["id"].as_str().expect("a post has an id"));

    // Nobody has read it yet: all ask at once, at every process.
    let reads = (0..READS).map(async |n| processes[n % PROCESSES].api().get(&path).await.status);
    let statuses = futures::future::join_all(reads).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let mut loads = 0;
    for process in &processes {
        loads += loads_of_posts(&process.api()).await;
    }
    assert_eq!(loads, 1, "times that the post was read from its database");

    for n in 0..CHANGES {
        let caption = format!("changed {n} times");
        let change = serde_json::json!({ "caption": caption });
        let writer = author.at(&processes[n % PROCESSES].api());
        writer.patch(&path, &change).await.expect(200);
        assert_eq!(
            writer.get(&path).await.json["caption"],
            caption.as_str(),
            "the process that made the change"
        );
        for process in &processes {
            eventually("every process shows the change", SOON, async || {
                (process.api().get(&path).await.json["caption"] == caption.as_str()).then_some(())
            })
            .await;
        }
    }
    // Redis gone, the databases answer.
    installation.flush_redis();
    let last = format!("changed {} times", CHANGES - 1);
    for mut process in processes.drain(..) {
        assert_eq!(process.api().get(&path).await.json["caption"], last.as_str());
        process.terminate().await;
    }
    format!(
        "{READS} reads of a new post at once, by {PROCESSES} processes, read it once from its database; \
         {CHANGES} changes, each at another process, were shown by every process, and at once where they were \
         made; after Redis was flushed all of them showed the last one."
    )
}

/// How often this process asked a database for posts.
async fn loads_of_posts(api: &Api) -> u64 {
    let figures = api.get("~/metrics").await;
    let text = String::from_utf8_lossy(&figures.bytes);
    let line = text.lines().find_map(|line| line.strip_prefix("tripod_cache_loads_total{region=\"post\"} "));
    line.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no loads of posts in {text}"))
}
