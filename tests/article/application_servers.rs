//! The web processes: 25 of them on the same stores, of which any may be asked, and one may go.

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};

use super::{Row, SOON, State};
use crate::servers::Shared;
use crate::{Person, Server, Setup, eventually};

pub(super) const ROW: Row = Row {
    name: "application_servers",
    of_2011: "Django + Gunicorn on 25 machines",
    here: "axum on hyper; add a process to add capacity",
    state: State::Shown(|| Box::pin(prove())),
};

const PROCESSES: usize = 25;
/// Requests at once.
const AT_ONCE: usize = 5;
/// They are killed without a word.
const KILLED: usize = 5;

async fn prove() -> String {
    let installation = Shared::get().await.installation().await;
    let setup = || {
        let variables = installation.variables();
        variables.into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value))
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let migrated = setup().run(directory.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let mut processes: Vec<Server> = Vec::new();
    while processes.len() < PROCESSES {
        // Each lists the bucket at its start and deletes what it wrote there to try it; the test's server
        // fails a listing while many others delete.
        let starts = (0..PROCESSES / 5).map(|_| setup().start());
        processes.extend(futures::future::join_all(starts).await);
    }

    // One person signs up at each, and everybody follows the first, each at another process.
    // A few at a time: what counts is that there are many processes, not what two cores can take at once.
    let people = stream::iter(&processes).map(|process| process.person("person"));
    let people: Vec<Person> = people.buffered(AT_ONCE).collect().await;
    let follows = people[1..].iter().enumerate().map(async |(n, person)| {
        person.at(&processes[(n + 7) % PROCESSES].api()).follow(&people[0]).await;
    });
    stream::iter(follows).buffer_unordered(AT_ONCE).collect::<()>().await;
    // The first posts once at each process.
    let posts = processes.iter().map(async |process| {
        let post = people[0].at(&process.api()).post_photo("one of many").await;
        post["id"].as_str().expect("a post has an id").to_owned()
    });
    let posts: BTreeSet<String> = stream::iter(posts).buffer_unordered(AT_ONCE).collect().await;
    assert_eq!(posts.len(), PROCESSES, "an id was given twice");

    for mut process in processes.drain(..KILLED) {
        process.kill_9();
    }
    // Whoever is left answers for everybody.
    for (n, person) in people.iter().enumerate() {
        let person: Person = person.at(&processes[n % processes.len()].api());
        eventually("the feed has every post once", SOON, async || {
            let feed = person.feed().await;
            let ids: BTreeSet<String> =
                feed.iter().filter_map(|post| post["id"].as_str()).map(str::to_owned).collect();
            (ids == posts && feed.len() == posts.len()).then_some(())
        })
        .await;
    }
    format!(
        "{PROCESSES} processes on the same PostgreSQL, Redis and S3, with a person signed up at each: everybody \
         followed the first at another process, who posted once at each of them; {KILLED} were killed. The \
         {} that were left showed each of the {} people every post once, with the sessions that others had opened.",
        processes.len(),
        people.len()
    )
}
