//! Saved posts: an edge from an account to a post that only the account sees.

mod handlers;

pub use handlers::*;

use tripod::Edge;

use crate::accounts::account;
use crate::posts::post;

/// An account keeps a post for later. Nobody else is told, not even by a count.
#[derive(Edge)]
#[edge(name = "save", from = account::Entity, to = post::Entity)]
pub struct Save;
