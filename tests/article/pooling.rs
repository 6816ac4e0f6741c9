//! Connections shared between the web processes.

use super::{Row, State};
use crate::servers::{PgBouncer, Postgres};
use crate::{Setup, Stored};

pub(super) const ROW: Row = Row {
    name: "pooling",
    of_2011: "PgBouncer",
    here: "pooled connections that work through transaction pooling",
    state: State::Shown(|| Box::pin(prove())),
};

/// Connections to the server that the pooler may have, and people who write at once.
const POOL: usize = 4;
const PEOPLE: usize = 24;

async fn prove() -> String {
    let server = Postgres::start_with(&[("fsync", "off")]).await;
    server.create_database("app").await;
    let pooler = PgBouncer::before(&server).set("default_pool_size", &POOL.to_string()).start().await;
    let pooled = format!("{}?direct=127.0.0.1:{}", pooler.url("app"), server.port());
    let setup = || Setup::embedded().set("TRIPOD_DATABASES", &pooled);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let migrated = setup().run(directory.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let service = setup().start().await;
    let people = futures::future::join_all((0..PEOPLE).map(|_| service.person("person"))).await;
    let posts = people.iter().map(|person| person.post_photo("through the pooler"));
    futures::future::join_all(posts).await;
    let most = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = 'app' AND pid <> pg_backend_pid() \
                AND backend_type = 'client backend'";
    let connections: usize = Stored::query_one(&server.url("app"), most).await[0].parse().expect("a number");
    assert!((1..=POOL).contains(&connections), "{connections} connections to the server");
    let clients = Stored::query_one(&server.url("app"), "SELECT count(*)::text FROM post").await;
    assert_eq!(clients, [PEOPLE.to_string()], "a post is missing");

    let old = PgBouncer::before(&server).old().start().await;
    let refused = Setup::embedded().set("TRIPOD_DATABASES", old.url("app")).run(directory.path(), &[]).await;
    assert!(!refused.status.success() && refused.stderr.contains("prepared statements"), "{refused:?}");
    format!(
        "{PEOPLE} people signed up and posted at once through PgBouncer in transaction mode, whose server saw \
         at most {POOL} connections; an old PgBouncer, which mixes up prepared statements, was refused with a \
         sentence."
    )
}
