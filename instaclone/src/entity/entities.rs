//! The entities of a caption or a comment, as they are stored with it: who is mentioned, which tags and links
//! it has, and where.

use sea_orm::FromJsonQueryResult;
use serde::{Deserialize, Serialize};
use tripod::web::{TextEntity, TextEntityKind, text_entities};

use super::AccountId;

/// The entities of a text, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Entities(pub Vec<Entity>);

/// An entity. Its places are in Unicode code points of the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity {
    pub start: usize,
    pub end: usize,
    #[serde(flatten)]
    pub kind: Kind,
}

/// What an entity is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// By id, so that it follows an account that changes its name.
    Mention {
        account: AccountId,
    },
    /// By its normalized name.
    Tag {
        tag: String,
    },
    Link {
        url: String,
    },
}

impl Entities {
    /// The entities of a text, with those who are mentioned looked up by `account`. A name that nobody has
    /// is plain text.
    pub fn of(text: &str, account: impl Fn(&str) -> Option<AccountId>) -> Self {
        let entity = |TextEntity { start, end, kind }| {
            let kind = match kind {
                TextEntityKind::Mention(name) => Kind::Mention { account: account(&name)? },
                TextEntityKind::Tag(tag) => Kind::Tag { tag },
                TextEntityKind::Link(url) => Kind::Link { url },
            };
            Some(Entity { start, end, kind })
        };
        Self(text_entities(text).into_iter().filter_map(entity).collect())
    }

    /// The stored entities of a text. A text of an earlier version has none stored; its tags and links are
    /// found again, and those it mentions are not known.
    pub fn stored(stored: Option<&Self>, text: &str) -> Self {
        stored.cloned().unwrap_or_else(|| Self::of(text, |_| None))
    }

    /// The tags, each as often as it is written.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|entity| match &entity.kind {
            Kind::Tag { tag } => Some(tag.as_str()),
            _ => None,
        })
    }

    /// The accounts that are mentioned.
    pub fn mentioned(&self) -> impl Iterator<Item = AccountId> {
        self.0.iter().filter_map(|entity| match entity.kind {
            Kind::Mention { account } => Some(account),
            _ => None,
        })
    }
}
