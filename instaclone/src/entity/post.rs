//! A post. It lives on its author's shard and fans out to the author's followers.

use chrono::{DateTime, Utc};
use sea_orm::FromJsonQueryResult;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use tripod::id::Id;
use tripod::media::{MediaKey, Picture, PictureFile};
use tripod::web::Rendered;
use tripod::{App, Cached, NoRelations, Sharded, TimelineItem};
use utoipa::ToSchema;

use super::Follow;
use super::account::AccountId;
use super::entities::Entities;

/// The id of a post.
pub type PostId = Id<Entity>;

/// A post.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded, Cached, TimelineItem)]
#[sea_orm(table_name = "post")]
#[sharded(by = author_id)]
#[cached(ttl = "10m", view = PostParts)]
#[timeline(name = "feed", audience = Follow)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub author_id: AccountId,
    pub caption: String,
    pub location: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub photos: Photos,
    /// Written in the transaction that adds or removes a comment, which lives on this shard, too.
    pub comment_count: i64,
    pub audience: Audience,
    pub comments_from: CommentsFrom,
    /// Of the caption; null in posts of earlier versions.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub entities: Option<Entities>,
}

/// Who may see a post, of those who may see its author's posts.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum Audience {
    #[default]
    Everyone,
    /// Those whom the author counts among their close friends.
    CloseFriends,
}

/// Who may comment on a post, of those who may see it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "snake_case")]
pub enum CommentsFrom {
    #[default]
    Everyone,
    /// The author and their followers.
    Followers,
    Nobody,
}

impl CommentsFrom {
    /// Its name in forms.
    pub fn name(self) -> &'static str {
        match self {
            Self::Everyone => "everyone",
            Self::Followers => "followers",
            Self::Nobody => "nobody",
        }
    }
}

/// The photos of a post, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, FromJsonQueryResult)]
pub struct Photos(pub Vec<Picture>);

impl Photos {
    /// The keys of their files.
    pub fn keys(&self) -> tripod::Result<Vec<MediaKey>> {
        Ok(self.0.iter().map(Picture::keys).collect::<tripod::Result<Vec<_>>>()?.concat())
    }
}

/// The parts of a post that are the same in every reply.
#[derive(Debug)]
pub struct PostParts {
    /// When it was posted.
    pub created_at: Rendered<DateTime<Utc>>,
    /// Its photos.
    pub photos: Rendered<Vec<PhotoView>>,
    /// The entities of its caption.
    pub entities: Entities,
}

impl PostParts {
    /// The view of a post's row.
    pub fn of(app: &App, post: &Model) -> Self {
        Self {
            created_at: Rendered::new(post.id.created_at()),
            entities: Entities::stored(post.entities.as_ref(), &post.caption),
            photos: Rendered::new(post.photos.0.iter().map(|photo| PhotoView::new(app, photo)).collect()),
        }
    }
}

/// A photo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Photo)]
pub struct PhotoView {
    /// The largest rendition, relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Its text alternative, for people who do not see it; may be empty.
    pub alt: String,
    /// A tiny picture as a `data:` URI, to show while the photo loads.
    pub placeholder: String,
    /// Renditions of the same aspect ratio, largest first.
    pub variants: Vec<Variant>,
}

/// A rendition of a photo.
#[derive(Debug, Serialize, ToSchema)]
pub struct Variant {
    /// Relative to the server unless absolute.
    pub url: String,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
}

impl PhotoView {
    fn new(app: &App, picture: &Picture) -> Self {
        let variant = |file: &PictureFile| Variant {
            url: app.media_url(&file.key),
            width: file.width,
            height: file.height,
        };
        let variants: Vec<Variant> = picture.files.iter().map(variant).collect();
        let largest = variants.first();
        Self {
            url: largest.map(|variant| variant.url.clone()).unwrap_or_default(),
            width: largest.map_or(0, |variant| variant.width),
            height: largest.map_or(0, |variant| variant.height),
            alt: picture.alt.clone(),
            placeholder: picture.placeholder.clone(),
            variants,
        }
    }
}
