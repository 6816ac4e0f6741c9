//! Feeds and the graph kept ready, and everything back when what was kept is lost.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Row, SOON, State};
use crate::servers::{Redis, Shared};
use crate::{Person, Setup, eventually};

pub(super) const ROW: Row = Row {
    name: "timelines",
    of_2011: "Redis: feeds, activity, sessions; 300M photo->user in under 5 GB",
    here: "`timeline`, `graph`, owner map",
    state: State::InPart(|| Box::pin(prove()), "activity, the owner map"),
};

const PEOPLE: usize = 12;
const ROUNDS: usize = 5;

/// Who follows whom in the end, and which posts there are.
#[derive(Default)]
struct Ledger {
    follows: BTreeSet<(usize, usize)>,
    posts: Vec<(usize, String)>,
}

impl Ledger {
    /// The feed that somebody must have: their own posts and those of whom they follow.
    fn feed(&self, reader: usize) -> Vec<&str> {
        let sees = |author: usize| author == reader || self.follows.contains(&(reader, author));
        let seen = self.posts.iter().filter(|(author, _)| sees(*author));
        // They were posted one after the other.
        seen.rev().map(|(_, id)| id.as_str()).collect()
    }
}

async fn prove() -> String {
    let redis = Redis::start().await;
    let installation = Shared::get().await.installation().await;
    let setup = || {
        let variables = installation.variables();
        let setup =
            variables.into_iter().fold(Setup::embedded(), |setup, (name, value)| setup.set(name, value));
        setup.set("TRIPOD_REDIS", redis.url())
    };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let migrated = setup().run(directory.path(), &["migrate"]).await;
    assert!(migrated.status.success(), "{migrated:?}");
    let server = setup().start().await;
    let mut people = Vec::new();
    for _ in 0..PEOPLE {
        people.push(server.person("reader").await);
    }
    let (ledger, unfollowed) = live(&people).await;

    let mut items = 0;
    let mut before = Vec::new();
    for (reader, person) in people.iter().enumerate() {
        let expected = ledger.feed(reader);
        let feed = eventually("the feed is what the ledger says", SOON, async || {
            Some(person.feed().await).filter(|feed| ids(feed) == expected)
        });
        let feed = feed.await;
        assert_follows(&ledger, &people, reader).await;
        items += feed.len();
        before.push(feed);
    }
    let kept: usize = redis.ask(&["DBSIZE"]).await;
    assert!(kept >= PEOPLE, "Redis keeps {kept} keys: fewer than there are timelines");
    // Everything kept ready is lost; what is true is in the databases.
    redis.flush().await;
    for (person, before) in people.iter().zip(&before) {
        assert_eq!(&person.feed().await, before, "the feed of {} after a flush", person.username);
    }
    drop(redis);
    for (person, before) in people.iter().zip(&before) {
        assert_eq!(&person.feed().await, before, "the feed of {} without Redis", person.username);
    }
    format!(
        "{PEOPLE} people, {} follows ({unfollowed} more taken back), {} posts between them: {PEOPLE} feeds \
         with {items} items in all were exactly the posts of whom each follows, newest first, and every list \
         of followers and following agreed. Redis kept the timelines and sessions; after it was flushed, and after \
         it was gone for good, every feed was the same and every session went on.",
        ledger.follows.len(),
        ledger.posts.len()
    )
}

/// People follow, post and unfollow in turns; the same in every run.
async fn live(people: &[Person]) -> (Ledger, usize) {
    let (mut ledger, mut unfollowed) = (Ledger::default(), 0);
    for round in 0..ROUNDS {
        for (n, person) in people.iter().enumerate() {
            let other = (n * 5 + round * 3 + 1) % PEOPLE;
            if other != n {
                person.follow(&people[other]).await;
                ledger.follows.insert((n, other));
            }
            let post = person.post_photo(&format!("round {round}")).await;
            ledger.posts.push((n, post["id"].as_str().expect("a post has an id").to_owned()));
            // Reading builds the timeline, so that later posts have to be pushed to it.
            person.feed().await;
        }
        let (reader, author) = *ledger.follows.iter().nth(round * 2).expect("somebody follows");
        people[reader].delete(&format!("/users/{}/follow", people[author].id)).await.expect(204);
        ledger.follows.remove(&(reader, author));
        unfollowed += 1;
    }
    (ledger, unfollowed)
}

async fn assert_follows(ledger: &Ledger, people: &[Person], reader: usize) {
    let person = &people[reader];
    for (list, expected) in [
        ("following", ledger.follows.iter().filter(|(from, _)| *from == reader).map(|(_, to)| *to).collect()),
        ("followers", ledger.follows.iter().filter(|(_, to)| *to == reader).map(|(from, _)| *from).collect()),
    ] {
        let expected: Vec<usize> = expected;
        let found = person.walk(&format!("/users/{}/{list}", person.id), 100).await;
        let found: BTreeSet<&str> = ids(&found).into_iter().collect();
        assert_eq!(found, expected.iter().map(|n| people[*n].id.as_str()).collect(), "{list}");
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items.iter().filter_map(|item| item["id"].as_str()).collect()
}
