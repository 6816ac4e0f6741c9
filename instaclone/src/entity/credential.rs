//! What proves that somebody is who they say. Apart from the account, which everybody who sees it has
//! read, and which is cached.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod::{NoRelations, Sharded};

use super::account::AccountId;

/// The credentials of an account, under the account's own number.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded)]
#[sea_orm(table_name = "credential")]
#[sharded(by = id)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub email: Option<String>,
    pub password_hash: String,
    /// The hash of the `Idempotency-Key` it was made under, if any.
    pub sign_up_key: Option<String>,
}

/// Where an account's credentials are.
pub fn of(account: AccountId) -> Id<Entity> {
    Id::from_raw(account.raw())
}
