//! Search: people by any word of their name or user name, and tags by their beginning.

use std::collections::BTreeSet;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use tripod::access::{Unchecked, Viewer};
use tripod::id::Id;
use tripod::shard::{Keyset, List, Read, Rows};
use tripod::web::{Json, PageQuery, Query, text_field};
use tripod::{App, Index, Result};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use utoipa::{IntoParams, ToSchema};

use crate::entity::account::{self, Author};
use crate::entity::{AccountId, username};
use crate::tags::{self, Tag};
use crate::views;

/// Characters of a word that are indexed: people whose words begin alike for longer are told apart when they
/// are read.
const INDEXED: usize = 8;
/// Words of a person that are indexed.
const MOST_WORDS: usize = 12;
/// Maximum characters to search for.
const LONGEST: usize = 100;

// ANCHOR: index
/// Accounts by the beginnings of the words of their names. The beginnings are keys of their own, so that a
/// lookup reads as many entries as it returns, however many people have such a name.
#[derive(Index)]
#[index(name = "account_by_name", of = account::Entity, keys = beginnings)]
pub struct AccountByName;

fn beginnings(account: &account::Model) -> Vec<String> {
    let words = words_of(account).into_iter().take(MOST_WORDS);
    words.flat_map(|word| (1..=INDEXED).map(move |length| beginning(&word, length))).collect()
}
// ANCHOR_END: index

/// The first characters of a word.
fn beginning(word: &str, length: usize) -> String {
    word.chars().take(length).collect()
}

fn words_of(account: &account::Model) -> BTreeSet<String> {
    words(&account.username).chain(words(&account.full_name)).collect()
}

/// The words of a text, in lower case and without accents.
fn words(text: &str) -> impl Iterator<Item = String> + use<> {
    let plain: String = text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect();
    let plain = plain.replace('ß', "ss").replace('ø', "o").replace('đ', "d").replace('ł', "l");
    let plain = plain.replace('æ', "ae").replace('œ', "oe").replace('ı', "i");
    let words = plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Found {
    /// People: the one with just this user name first, then the newest.
    pub users: Vec<Author>,
    /// Tags that begin so, the most used first; on the first page only.
    pub tags: Vec<Tag>,
    /// The cursor of the next people; null at the end.
    #[schema(required)]
    pub next: Option<String>,
}

/// Searches for a text.
pub async fn search(app: &App, viewer: Viewer, text: &str, page: PageQuery) -> Result<Found> {
    let text = text_field("q", text, 1..=LONGEST)?;
    let read = app.cached().available();
    let people = async {
        if text.starts_with('#') {
            Ok(None)
        } else {
            people(app, &read, viewer, &text, page.clone()).await.map(Some)
        }
    };
    let tags = async {
        let is_first = page.keyset::<AccountId>()?.after.is_none();
        if text.starts_with('@') || !is_first {
            Ok(Vec::new())
        } else {
            tags::beginning_with(app, viewer, &text).await
        }
    };
    let (people, tags) = tokio::try_join!(people, tags)?;
    let (users, next) = people.map_or_else(Default::default, |people| (people.items, people.next));
    Ok(Found { users, tags, next })
}

/// The people whose names have words that begin with each word of a text.
async fn people(
    app: &App,
    read: &Read,
    viewer: Viewer,
    text: &str,
    page: PageQuery,
) -> Result<tripod::web::Page<Author>> {
    let wanted: Vec<String> = words(text).collect();
    // The longest word is on the fewest names.
    let longest = wanted.iter().max_by_key(|word| word.chars().count());
    let key = longest.map(|word| beginning(word, INDEXED)).unwrap_or_default();
    let exact = exactly(read, text).await?;
    let exact_id = exact.as_ref().map(|account| account.peek().id);
    let list = |part: Keyset<AccountId>| {
        let (key, exact) = (&key, exact.clone());
        async move {
            let Keyset { after, limit, .. } = part;
            // The list begins with the person of just this name, above every id.
            let first = exact.filter(|_| after.is_none()).map(|account| (Id::from_raw(i64::MAX), account));
            let rest = limit - first.iter().len() as u64;
            let found = match rest {
                0 => List { items: Vec::new(), next: first.as_ref().map(|(place, _)| *place) },
                _ => read.indexed::<AccountByName>(key, Keyset { limit: rest, ..part }).await?,
            };
            let others = found.items.into_iter().filter(|(id, _)| Some(*id) != exact_id);
            Ok(Rows { items: first.into_iter().chain(others).collect(), next: found.next })
        }
    };
    let present = |accounts: Vec<Unchecked<account::Model>>| {
        let wanted = &wanted;
        async move {
            let matches = accounts.iter().map(|account| {
                let words = words_of(account.peek());
                let is_one = |word: &String| words.iter().any(|own| own.starts_with(word.as_str()));
                Some(account.peek().id) == exact_id || wanted.iter().all(is_one)
            });
            let matches: Vec<bool> = matches.collect();
            let ids = accounts.iter().map(|account| account.peek().id).collect();
            let authors = views::authors(app, read, viewer, ids).await?;
            Ok(authors.into_iter().zip(matches).map(|(author, matches)| author.filter(|_| matches)).collect())
        }
    };
    page.fill(list, present).await
}

/// The account with just this user name.
async fn exactly(read: &Read, text: &str) -> Result<Option<Unchecked<account::Model>>> {
    let name = text.trim_start_matches('@').to_lowercase();
    match read.find_text::<username::Entity>(&name).await? {
        Some(found) => read.find(found.peek().account_id).await,
        None => Ok(None),
    }
}

/// The text to search for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Words of a name, in any order, whole or their beginnings; accents and case do not matter. `@` before it
    /// finds people only, `#` tags only.
    #[param(min_length = 1, max_length = 100)]
    q: String,
}

/// Search for people and tags.
#[utoipa::path(get, path = "/search", tag = "search", operation_id = "search", params(SearchQuery, PageQuery),
    security((), ("bearer" = [])),
    responses((status = 200, description = "People and tags.", body = Found)))]
pub async fn search_all(
    State(app): State<App>,
    viewer: Viewer,
    Query(query): Query<SearchQuery>,
    page: PageQuery,
) -> Result<Json<Found>> {
    search(&app, viewer, &query.q, page).await.map(Json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        words(text).collect()
    }

    #[test]
    fn words_are_compared_without_accents_and_case() {
        for (text, expected) in [
            ("José Núñez", vec!["jose", "nunez"]),
            ("kevin_systrom.2", vec!["kevin", "systrom", "2"]),
            ("Søren Łukasz STRAßE", vec!["soren", "lukasz", "strasse"]),
            ("Ｋｅｖｉｎ", vec!["kevin"]),
            ("日本 太郎", vec!["日本", "太郎"]),
            ("İstanbul ısı", vec!["istanbul", "isi"]),
            ("👍 ... ", vec![]),
        ] {
            assert_eq!(found(text), expected, "{text:?}");
        }
    }
}
