//! Random steps of people, in any of several processes.

use rand::{Rng, RngExt};
use tripod::conformance::{Author, Note, Reads, Stores};
use tripod::id::Id;
use tripod::shard::Keyset;

use super::{expected, note, shows};

pub const PEOPLE: usize = 7;
/// Concurrent steps.
pub const TOGETHER: usize = 4;

/// One step of a person: the process, the person, and the other person.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Connect(usize, usize, usize),
    Disconnect(usize, usize, usize),
    Note(usize, usize),
    Delete(usize, usize),
    Read(usize, usize),
}

pub fn step(dice: &mut impl Rng) -> Step {
    let (process, one, other) =
        (dice.random_range(0..2), dice.random_range(0..PEOPLE), dice.random_range(0..PEOPLE));
    match dice.random_range(0..94) {
        0..18 if one != other => Step::Connect(process, one, other),
        18..32 if one != other => Step::Disconnect(process, one, other),
        32..60 => Step::Note(process, one),
        60..66 => Step::Delete(process, one),
        _ => Step::Read(process, one),
    }
}

pub async fn take(step: Step, processes: &[Stores; 2], people: &[Id<Author>]) {
    match step {
        Step::Connect(process, from, to) => {
            processes[process].graph.connect::<Reads>(people[from], people[to]).await.unwrap();
        }
        Step::Disconnect(process, from, to) => {
            processes[process].graph.disconnect::<Reads>(people[from], people[to]).await.unwrap();
        }
        Step::Note(process, author) => drop(note(&processes[process], people[author]).await),
        Step::Delete(process, author) => {
            let stores = &processes[process];
            let notes = stores.primary().list::<Note>(people[author], Keyset::newest(3)).await.unwrap();
            let Some(last) = notes.items.last().map(|(id, _)| *id) else { return };
            stores.shards.write(last, move |tx| async move { tx.delete(last).await }).await.unwrap();
        }
        Step::Read(process, reader) => drop(processes[process].timeline(people[reader]).await),
    }
}

pub async fn people(stores: &Stores) -> Vec<Id<Author>> {
    let mut people = Vec::new();
    for n in 0..PEOPLE {
        people.push(stores.author(&format!("person-{n}")).await);
    }
    people
}

/// Asserts that each reader's timeline in each process comes to match the databases, and still does when
/// it is read again.
pub async fn compare(processes: &[Stores; 2], people: &[Id<Author>], history: &str) {
    for reader in people {
        let expected = expected(&processes[0], *reader).await;
        for (process, stores) in processes.iter().enumerate() {
            let whose = format!("process {process}, {reader:?}; {history}");
            shows(stores, *reader, &expected, &whose).await;
            assert_eq!(stores.timeline(*reader).await, expected, "the second read of {whose}");
        }
    }
}
