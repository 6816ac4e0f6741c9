//! An account. It lives on the shard of the hash of its first user name.

use std::sync::Arc;

use sea_orm::entity::prelude::*;
use serde::Serialize;
use tripod::id::Id;
use tripod::media::Picture;
use tripod::web::Rendered;
use tripod::{App, Cached, NoRelations, Sharded};
use utoipa::ToSchema;

/// The id of an account.
pub type AccountId = Id<Entity>;

/// An account: every field may be shown to anyone who may see the account.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded, Cached)]
#[sea_orm(table_name = "account")]
#[sharded(by = id)]
#[cached(ttl = "10m", view = Rendered<Author>)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub username: String,
    pub full_name: String,
    pub bio: String,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub avatar: Option<Picture>,
    pub post_count: i64,
    /// Whether only accepted followers see its posts.
    pub is_private: bool,
    /// Whether it is hidden from everyone, itself included, by those who run the service.
    pub suspended: bool,
}

/// An account as the author of an item: the same for every viewer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Author {
    /// The account's id.
    pub id: AccountId,
    /// The account's user name.
    #[schema(value_type = String)]
    pub username: Arc<str>,
    /// The account's full name; may be empty.
    #[schema(value_type = String)]
    pub full_name: Arc<str>,
    /// The account's picture, relative to the server unless absolute; null without one.
    #[schema(required, value_type = Option<String>)]
    pub avatar_url: Option<Arc<str>>,
}

impl Author {
    /// The view of an account's row.
    pub fn of(app: &App, account: &Model) -> Rendered<Self> {
        let smallest = account.avatar.as_ref().and_then(|avatar| avatar.files.last());
        Rendered::new(Self {
            id: account.id,
            username: account.username.as_str().into(),
            full_name: account.full_name.as_str().into(),
            avatar_url: smallest.map(|file| app.media_url(&file.key).into()),
        })
    }
}
