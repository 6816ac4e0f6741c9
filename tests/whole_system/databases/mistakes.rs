//! Every mistake in the list of databases is reported in a sentence that says how to fix it.

use tripod_tests::Setup;
use tripod_tests::servers::{OldPostgres, PgBouncer, Postgres};

use super::{migrated, on};

/// The error of a program that must not start.
async fn refusal(setup: Setup, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let exit = setup.run(directory.path(), arguments).await;
    assert!(!exit.status.success() && exit.status.code().is_some(), "{exit:?}");
    assert!(!exit.stderr.contains("panicked") && !exit.stdout.contains("is ready"), "{exit:?}");
    let sentence = exit.stderr.lines().last().unwrap_or_default().to_owned();
    assert!(sentence.starts_with("error: "), "{exit:?}");
    assert!(!sentence.contains("open-sesame"), "the message shows a password: {sentence}");
    sentence
}

async fn refused(databases: &[String], says: &[&str]) {
    let sentence = refusal(on(databases), &[]).await;
    for part in says {
        assert!(sentence.contains(part), "the message lacks {part:?}: {sentence}");
    }
}

async fn quick() -> Postgres {
    Postgres::start_with(&[("fsync", "off")]).await
}

async fn databases<const N: usize>(server: &Postgres, names: [&str; N]) -> [String; N] {
    for name in names {
        server.create_database(name).await;
    }
    names.map(|name| server.url(name))
}

#[tokio::test]
async fn a_server_that_is_too_old_is_named_with_its_version() {
    let server = OldPostgres::start().await;
    refused(&[server.url()], &["runs on PostgreSQL 14.", "15 or later is needed", "upgrade its server"])
        .await;
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_is_named_with_the_reason() {
    let mut server = quick().await;
    let [there] = databases(&server, ["there"]).await;
    let name = format!("127.0.0.1:{}/there", server.port());
    refused(&[there.replace("open-sesame", "sesame-open")], &[&name, "user or password"]).await;
    refused(&[server.url("nowhere")], &["/nowhere", "does not exist", "CREATE DATABASE"]).await;
    refused(
        &[there.replace("postgres://", "mysql://")],
        &["mysql://", "postgres://USER:PASSWORD@HOST:PORT/NAME"],
    )
    .await;
    refused(&[format!("{there}?sslmod=require")], &["\"sslmod\" is not known", "sslmode"]).await;
    server.stop().await;
    refused(&[there], &[&name, "does not answer", "start it"]).await;
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_refused_until_it_is_migrated() {
    let server = quick().await;
    let list = databases(&server, ["a", "b"]).await;
    refused(&list, &["/a", "run `instaclone migrate`"]).await;
    // Any number of processes may try at once.
    let directory = tempfile::tempdir().unwrap();
    let places: Vec<_> = (0..6).map(|n| directory.path().join(n.to_string())).collect();
    let migrations = places.iter().map(async |place| {
        std::fs::create_dir(place).unwrap();
        on(&list).run(place, &["migrate"]).await
    });
    for exit in futures::future::join_all(migrations).await {
        assert!(exit.status.success(), "{exit:?}");
    }
    let held = server.query("a", "SELECT count(*) FROM tripod_shard WHERE state = 'active'").await;
    assert_eq!(held, [["4096"]]);
    drop(on(&list).start().await);

    server.query("b", "INSERT INTO tripod_migration VALUES ('m21000101_000001_later', 0)").await;
    refused(&list, &["/b", "newer version", "m21000101_000001_later"]).await;
    let sentence = refusal(on(&list), &["migrate"]).await;
    assert!(sentence.contains("newer version"), "{sentence}");
}

#[tokio::test]
async fn shards_must_each_be_held_by_one_listed_database() {
    let server = quick().await;
    let [a, b, new] = databases(&server, ["a", "b", "new"]).await;
    let [other] = databases(&server, ["other"]).await;
    migrated(&[a.clone(), b.clone()]).await;
    migrated(std::slice::from_ref(&other)).await;
    refused(std::slice::from_ref(&a), &["4096-8191", "list the database that does"]).await;
    refused(&[a.clone(), a.clone(), b.clone()], &["/a", "listed twice"]).await;
    let alias = a.replace("127.0.0.1", "localhost");
    refused(&[a.clone(), alias, b.clone()], &["listed twice"]).await;
    refused(&[a.clone(), b.clone(), other], &["two installations"]).await;
    let sentence = refusal(on(&[a.clone(), b.clone(), new]), &["migrate"]).await;
    assert!(sentence.contains("/new") && sentence.contains("take it off the list"), "{sentence}");
    // An old copy, such as a backup restored beside its original.
    server.query("postgres", "CREATE DATABASE copy TEMPLATE b").await;
    server.query("copy", "UPDATE tripod_database SET name = 'another'").await;
    refused(&[a, b, server.url("copy")], &["shard", "is held by", "old copy"]).await;
}

#[tokio::test]
async fn a_pooler_must_keep_prepared_statements() {
    let server = quick().await;
    let [app] = databases(&server, ["app"]).await;
    let old = PgBouncer::before(&server).old().start().await;
    refused(&[old.url("app")], &["does not keep prepared statements", "1.21", "max_prepared_statements"])
        .await;
    let unset = PgBouncer::before(&server).prepared_statements(0).start().await;
    refused(&[unset.url("app")], &["does not keep prepared statements"]).await;

    let pooler = PgBouncer::start(&server).await;
    let pooled = format!("{}?direct=127.0.0.1:{}", pooler.url("app"), server.port());
    let service = migrated(&[pooled]).await.start().await;
    service.person("kevin").await.post_photo("through a pooler").await;
    drop(service);
    // If the direct address is wrong, the error names it.
    let wrong = format!("{}?direct=127.0.0.1:1", pooler.url("app"));
    let sentence = refusal(on(&[wrong]), &["migrate"]).await;
    assert!(sentence.contains("does not answer"), "{sentence}");
    drop(app);
}

#[tokio::test]
async fn certificates_are_checked() {
    let server = Postgres::start_with_tls().await;
    server.create_database("app").await;
    let service = migrated(&[server.url("app")]).await.start().await;
    service.person("kevin").await;
    let unchecked = server.url("app").split('?').next().unwrap().to_owned();
    // The machine does not know the authority that signed it.
    refused(&[format!("{unchecked}?sslmode=verify-full")], &["does not prove who it is", "sslrootcert"])
        .await;
    refused(&[format!("{unchecked}?sslmode=disable")], &["user or password"]).await;
}

#[tokio::test]
async fn without_redis_there_is_one_process_and_the_lock_goes_with_it() {
    let server = quick().await;
    let [app] = databases(&server, ["app"]).await;
    // The media are files, and those of the service's machine.
    let data = tempfile::tempdir().unwrap();
    let setup = || on(std::slice::from_ref(&app)).data(data.path());
    migrated(std::slice::from_ref(&app)).await;
    let mut first = setup().start().await;
    for arguments in [&[][..], &["serve"]] {
        let sentence = refusal(setup(), arguments).await;
        assert!(
            sentence.contains("another process serves from") && sentence.contains("TRIPOD_REDIS"),
            "{sentence}"
        );
    }
    let sentence = refusal(setup(), &["work"]).await;
    assert!(sentence.contains("another process serves from"), "{sentence}");
    let sentence = refusal(setup(), &["serve", "--no-work"]).await;
    assert!(sentence.contains("--no-work") && sentence.contains("TRIPOD_REDIS"), "{sentence}");
    first.kill_9();
    drop(setup().start().await);
}
