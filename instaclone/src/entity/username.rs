//! A user name and its owner. Found by the name itself. The name of a deleted account is retired, so that
//! no one can take it and be mistaken for its first owner.

use sea_orm::entity::prelude::*;
use tripod::{NoRelations, Sharded};

use super::account::AccountId;

/// A user name.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, NoRelations, Sharded)]
#[sea_orm(table_name = "username")]
#[sharded(text = name)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub shard: i16,
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    pub account_id: AccountId,
}
