//! Views of the entities of captions and comments.

use serde::Serialize;
use tripod::access::Viewer;
use tripod::shard::Read;
use tripod::{App, Result};
use utoipa::ToSchema;

use crate::entity::AccountId;
use crate::entity::entities::{Entities, Entity, Kind};
use crate::mentions;
use crate::visibility::People;

/// A mention, a tag or a link in a text. Its places are those in the text as it is written: a mentioned
/// person may have another name by now.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Entity)]
pub struct EntityView {
    pub kind: EntityKind,
    /// Where it begins, in Unicode code points.
    pub start: usize,
    /// Where it ends, in Unicode code points.
    pub end: usize,
    /// Who is mentioned.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub user_id: Option<AccountId>,
    /// The present user name of the mentioned person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub username: Option<String>,
    /// The tag's name, by which its posts are found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tag: Option<String>,
    /// The link's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub url: Option<String>,
}

/// What an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    Mention,
    Tag,
    Link,
}

/// The entities of a text, without mentions of those whom the viewer may not see: these are plain text.
/// `people` are those who are mentioned.
pub fn entities(app: &App, entities: &Entities, people: &People) -> Vec<EntityView> {
    entities.0.iter().filter_map(|entity| view(app, entity, people)).collect()
}

/// The entities of a text that is not stored any more, such as an earlier caption in a repeated reply.
pub async fn entities_of(app: &App, read: &Read, viewer: Viewer, text: &str) -> Result<Vec<EntityView>> {
    let found = mentions::entities_of(app, text).await?;
    let people = People::load(read, viewer, found.mentioned()).await?;
    Ok(entities(app, &found, &people))
}

fn view(app: &App, entity: &Entity, people: &People) -> Option<EntityView> {
    let Entity { start, end, kind } = entity;
    let plain = |kind| EntityView {
        kind,
        start: *start,
        end: *end,
        user_id: None,
        username: None,
        tag: None,
        url: None,
    };
    Some(match kind {
        Kind::Mention { account } => {
            let username = people.author(app, *account)?.username.to_string();
            EntityView { user_id: Some(*account), username: Some(username), ..plain(EntityKind::Mention) }
        }
        Kind::Tag { tag } => EntityView { tag: Some(tag.clone()), ..plain(EntityKind::Tag) },
        Kind::Link { url } => EntityView { url: Some(url.clone()), ..plain(EntityKind::Link) },
    })
}
