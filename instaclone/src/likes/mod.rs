//! Likes: an edge from an account to a post, counted on the post's shard.

mod handlers;

pub use handlers::*;

use tripod::Edge;

use crate::accounts::account;
use crate::posts::post;

/// An account likes a post.
#[derive(Edge)]
#[edge(name = "like", from = account::Entity, to = post::Entity)]
pub struct Like;
