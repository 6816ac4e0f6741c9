//! The private data of accounts, shown to no one. It is separate from the account, which is cached and
//! read for everyone who sees it. The framework keeps the password.

use sea_orm::entity::prelude::*;
use tripod::id::Id;
use tripod::{NoRelations, Sharded};

use super::account::AccountId;

/// The credentials of an account, under the account's own id.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded)]
#[sea_orm(table_name = "credential")]
#[sharded(by = id)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Id<Entity>,
    pub email: Option<String>,
    /// The hash of the `Idempotency-Key` of the sign-up, if any.
    pub sign_up_key: Option<String>,
}

/// The id of an account's credentials.
pub fn of(account: AccountId) -> Id<Entity> {
    Id::from_raw(account.raw())
}
