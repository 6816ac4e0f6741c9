//! Follows the failovers of databases: nothing that was read from an old primary is used afterwards.
//!
//! The new primary may lack the last writes of the old one, and the old one lacks those made since. The
//! cache and the timelines therefore belong to a generation, which every process computes from the
//! histories of its databases' servers. Redis keeps the histories last seen, so that a process that starts while
//! a server is down belongs to the generation of those that run.

use std::sync::Arc;

use futures::future::{join_all, select_all};
use sha2::{Digest, Sha256};
use tokio::sync::watch::Receiver;

use super::Shards;
use crate::cache::Cache;
use crate::db::Database;

/// A database's history as far as it is known.
struct Followed {
    name: String,
    current: Receiver<Option<Arc<str>>>,
    known: String,
}

impl Followed {
    async fn new(database: &Database, cache: &Cache) -> Option<Self> {
        let (name, current) = (database.name().to_owned(), database.history()?);
        let mut followed = Self { name, current, known: String::new() };
        match followed.learn() {
            true => followed.note(cache).await,
            false => followed.known = cache.recall_history(&followed.name).await.unwrap_or_default(),
        }
        Some(followed)
    }

    /// Takes over the current history. Returns whether it is another one.
    fn learn(&mut self) -> bool {
        let current = self.current.borrow_and_update().clone().unwrap_or_default();
        let is_other = !current.is_empty() && *current != *self.known;
        if is_other {
            self.known = current.to_string();
        }
        is_other
    }

    async fn note(&self, cache: &Cache) {
        cache.note_history(&self.name, &self.known).await;
    }
}

/// Begins the first generation, and another whenever a database's history changes.
pub(super) async fn follow(shards: &Shards) {
    let cache = shards.cache();
    let followed = shards.databases().iter().map(|database| Followed::new(database, cache));
    let mut followed: Vec<Followed> = join_all(followed).await.into_iter().flatten().collect();
    if followed.is_empty() {
        return;
    }
    cache.begin_generation(generation(&followed));
    let shards = shards.downgrade();
    tokio::spawn(async move {
        loop {
            let changes = followed.iter_mut().map(|each| Box::pin(each.current.changed()));
            let (Ok(()), index, _) = select_all(changes).await else {
                // The databases are gone.
                return;
            };
            let Some(shards) = shards.upgrade().map(Shards) else { return };
            if followed[index].learn() {
                shards.cache().begin_generation(generation(&followed));
                followed[index].note(shards.cache()).await;
            }
        }
    });
}

/// The number of the current generation: the same in all processes, whatever the order of their databases.
fn generation(followed: &[Followed]) -> u64 {
    let mut histories: Vec<&str> = followed.iter().map(|each| each.known.as_str()).collect();
    histories.sort_unstable();
    let hash = Sha256::digest(histories.join("\n"));
    u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"))
}
