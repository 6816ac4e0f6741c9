//! Finding the entities of a new text: those whom it mentions are looked up once, and stored by their ids.

use std::collections::{BTreeSet, HashMap};

use futures::future::try_join_all;
use tripod::shard::Read;
use tripod::web::{TextEntityKind, text_entities};
use tripod::{App, Result};

use crate::entity::entities::Entities;
use crate::entity::{AccountId, username};

/// The entities of a text that is about to be stored.
pub async fn entities_of(app: &App, text: &str) -> Result<Entities> {
    let read = app.cached();
    let names: BTreeSet<String> =
        text_entities(text).into_iter().filter_map(|entity| named(entity.kind)).collect();
    let accounts = try_join_all(names.into_iter().map(|name| find(&read, name))).await?;
    let accounts: HashMap<String, AccountId> = accounts.into_iter().flatten().collect();
    Ok(Entities::of(text, |name| accounts.get(&name.to_ascii_lowercase()).copied()))
}

/// The user name that is mentioned.
fn named(kind: TextEntityKind) -> Option<String> {
    match kind {
        TextEntityKind::Mention(name) => Some(name.to_ascii_lowercase()),
        _ => None,
    }
}

async fn find(read: &Read, name: String) -> Result<Option<(String, AccountId)>> {
    let account = read.find_text::<username::Entity>(&name).await?;
    Ok(account.map(|account| (name, account.peek().account_id)))
}
