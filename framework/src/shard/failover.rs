//! Follows the failovers of databases: nothing that was read from an old primary is used afterwards.
//!
//! The new primary may lack the last writes of the old one, and the old one lacks those made since. The
//! cache and the timelines therefore belong to a generation, which every process computes from the
//! histories of its databases' servers.

use std::sync::Arc;

use futures::future::select_all;
use sha2::{Digest, Sha256};
use tokio::sync::watch::Receiver;

use super::Shards;

/// Begins the first generation, and another whenever a database's history changes.
pub(super) fn follow(shards: &Shards) {
    let mut histories: Vec<_> = shards.databases().iter().filter_map(crate::db::Database::history).collect();
    if histories.is_empty() {
        return;
    }
    shards.cache().begin_generation(generation(&mut histories));
    let shards = shards.downgrade();
    tokio::spawn(async move {
        // An error means that the databases are gone.
        while select_all(histories.iter_mut().map(|history| Box::pin(history.changed()))).await.0.is_ok() {
            let Some(shards) = shards.upgrade().map(Shards) else { return };
            shards.cache().begin_generation(generation(&mut histories));
        }
    });
}

/// The number of the current generation: the same in all processes, whatever the order of their databases.
fn generation(histories: &mut [Receiver<Option<Arc<str>>>]) -> u64 {
    let mut texts: Vec<Arc<str>> =
        histories.iter_mut().map(|history| history.borrow_and_update().clone().unwrap_or_default()).collect();
    texts.sort_unstable();
    let hash = Sha256::digest(texts.join("\n"));
    u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"))
}
