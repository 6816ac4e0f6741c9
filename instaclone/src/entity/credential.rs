//! What is known of an account and shown to nobody. Apart from the account itself, which everybody who sees
//! it has read, and which is cached. The password is the framework's to keep.

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
    /// The hash of the `Idempotency-Key` it was made under, if any.
    pub sign_up_key: Option<String>,
}

/// Where an account's credentials are.
pub fn of(account: AccountId) -> Id<Entity> {
    Id::from_raw(account.raw())
}
