//! The entities, and the edges between them. Every other module builds on this one.

pub mod account;
pub mod comment;
pub mod credential;
pub mod post;
pub mod username;

use tripod::Edge;

pub use account::AccountId;
pub use comment::CommentId;
pub use post::PostId;

/// One account follows another.
#[derive(Edge)]
#[edge(name = "follow", from = account::Entity, to = account::Entity)]
pub struct Follow;

/// An account likes a post. Counted on the post's shard.
#[derive(Edge)]
#[edge(name = "like", from = account::Entity, to = post::Entity)]
pub struct Like;

/// An account keeps a post for later. It is visible to no one else, not even as a count.
#[derive(Edge)]
#[edge(name = "save", from = account::Entity, to = post::Entity)]
pub struct Save;
