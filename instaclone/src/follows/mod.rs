//! Follows: who sees whose posts in their feed.

mod handlers;

pub use handlers::*;

use tripod::Edge;

use crate::accounts::account;

/// One account follows another.
#[derive(Edge)]
#[edge(name = "follow", from = account::Entity, to = account::Entity)]
pub struct Follow;
